//! Flags for development servers that do not read `PORT`: which server a command line comes to, through package managers and their
//! scripts, and what it must be told. What is not understood is left as it is.

/// Scripts that call scripts are followed this far.
const SCRIPTS_DEEP_MAX: usize = 3;
const LOOPBACK: &str = "127.0.0.1";
/// Options of package managers that choose another package, whose scripts are not at hand.
const OTHER_PACKAGE: &[&str] = &[
    "-w",
    "-ws",
    "--workspace",
    "--workspaces",
    "--prefix",
    "-C",
    "--dir",
    "--cwd",
    "-F",
    "--filter",
];

/// The command, with what makes its server listen on `port` appended if it has one of these servers and names no port itself.
/// `scripts` knows the scripts of the package.
pub(super) fn adapt(
    command: &[String],
    scripts: &dyn Fn(&str) -> Option<String>,
    port: u16,
) -> Vec<String> {
    let mut adapted = command.to_vec();
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let Some(found) = recognise(&words, scripts, SCRIPTS_DEEP_MAX) else {
        return adapted;
    };
    let flags = found.server.flags(&found.arguments, port);
    let separated = words.contains(&"--");
    if found.separator == Separator::Wanted && !separated && !flags.is_empty() {
        adapted.push("--".to_owned());
    }
    adapted.extend(flags);
    adapted
}

/// A development server that has to be told its port by flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Vite,
    Astro,
    Angular,
    Expo,
}

/// Whether `--` must stand before flags that are for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Wanted,
    Unwanted,
}

/// A server in a command line.
#[derive(Debug)]
struct Found {
    server: Server,
    /// What it is given already.
    arguments: Vec<String>,
    separator: Separator,
}

impl Server {
    /// By the name of its program, if these arguments make it serve.
    fn of(program: &str, arguments: &[&str]) -> Option<Self> {
        let first = arguments.first().copied().unwrap_or_default();
        match program {
            "vite" => {
                let builds = arguments.iter().any(|a| matches!(*a, "build" | "optimize"));
                (!builds).then_some(Self::Vite)
            }
            "astro" => matches!(first, "dev" | "preview").then_some(Self::Astro),
            "ng" => matches!(first, "serve" | "s" | "dev").then_some(Self::Angular),
            "expo" => (first == "start").then_some(Self::Expo),
            _ => None,
        }
    }

    fn flags(self, given: &[String], port: u16) -> Vec<String> {
        let has = |flag: &str| {
            given.iter().any(|argument| {
                let rest = argument.strip_prefix(flag);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            })
        };
        if has("--port") || has("-p") {
            return Vec::new();
        }
        let mut flags = vec!["--port".to_owned(), port.to_string()];
        match self {
            Self::Vite => {
                // Else it takes another port when this one is taken, and nobody finds it there.
                if !has("--strictPort") {
                    flags.push("--strictPort".to_owned());
                }
                if !has("--host") {
                    flags.extend(["--host", LOOPBACK].map(str::to_owned));
                }
            }
            Self::Astro | Self::Angular | Self::Expo => {}
        }
        flags
    }
}

fn recognise(
    words: &[&str],
    scripts: &dyn Fn(&str) -> Option<String>,
    deep: usize,
) -> Option<Found> {
    let (program, rest) = without_surroundings(words).split_first()?;
    let manager = Manager {
        rest,
        scripts,
        deep,
    };
    match file_name(program) {
        "npx" | "bunx" => package(rest, Separator::Unwanted),
        "npm" => manager.npm(),
        "pnpm" => manager.others(&["exec", "dlx"]),
        "yarn" => manager.others(&["exec", "dlx"]),
        "bun" => manager.others(&["x"]),
        program => found(program, rest, Separator::Unwanted),
    }
}

/// Variables that are set in front, and the programs that set them.
fn without_surroundings<'a, 'b>(words: &'a [&'b str]) -> &'a [&'b str] {
    let is_surrounding = |word: &&&str| {
        let name = word.split_once('=').map(|(name, _value)| name);
        let sets = name.is_some_and(|name| !name.is_empty() && !name.starts_with('-'));
        sets || matches!(file_name(word), "env" | "cross-env" | "cross-env-shell")
    };
    let skipped = words.iter().take_while(is_surrounding).count();
    words.get(skipped..).unwrap_or_default()
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

fn found(program: &str, arguments: &[&str], separator: Separator) -> Option<Found> {
    Some(Found {
        server: Server::of(program, arguments)?,
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        separator,
    })
}

/// A package's own program, as `npx` and its kin start it: `vite@6` is `vite`.
fn package(words: &[&str], separator: Separator) -> Option<Found> {
    let chooses = |word: &&str| {
        matches!(
            *word,
            "-y" | "--yes" | "--no" | "--no-install" | "--bun" | "--"
        )
    };
    let skipped = words.iter().take_while(|word| chooses(word)).count();
    let (name, arguments) = words.get(skipped..)?.split_first()?;
    let name = match name.split_once('@') {
        Some((bare, _version)) if !bare.is_empty() => bare,
        Some(_) | None => name,
    };
    found(name, arguments, separator)
}

/// A package manager's command line behind its name.
struct Manager<'a> {
    rest: &'a [&'a str],
    scripts: &'a dyn Fn(&str) -> Option<String>,
    deep: usize,
}

impl Manager<'_> {
    /// It keeps flags to itself unless `--` stands before them.
    fn npm(&self) -> Option<Found> {
        let (verb, rest) = self.verb()?;
        let inner = match verb {
            "run" | "run-script" => {
                let (name, arguments) = rest.split_first()?;
                self.script(name, arguments)
            }
            "start" => self.script("start", rest),
            "exec" | "x" => package(rest, Separator::Wanted),
            _ => None,
        };
        Some(Found {
            separator: Separator::Wanted,
            ..inner?
        })
    }

    /// The others hand on whatever follows a script's or a program's name.
    fn others(&self, executes: &[&str]) -> Option<Found> {
        let (verb, rest) = self.verb()?;
        if executes.contains(&verb) {
            return package(rest, Separator::Unwanted);
        }
        let (name, arguments) = match verb {
            "run" => rest.split_first().map(|(name, rest)| (*name, rest))?,
            _ => (verb, rest),
        };
        if (self.scripts)(name).is_some() {
            return self.script(name, arguments);
        }
        found(name, arguments, Separator::Unwanted)
    }

    fn verb(&self) -> Option<(&str, &[&str])> {
        let (verb, rest) = self.rest.split_first()?;
        let own = self.rest.iter().take_while(|word| **word != "--");
        let elsewhere = own
            .map(|word| word.split('=').next().unwrap_or_default())
            .any(|option| OTHER_PACKAGE.contains(&option));
        (!elsewhere && !verb.starts_with('-')).then_some((*verb, rest))
    }

    /// What is appended to a script goes to its last command.
    fn script(&self, name: &str, arguments: &[&str]) -> Option<Found> {
        let deep = self.deep.checked_sub(1)?;
        let text = (self.scripts)(name)?;
        let last = text.rsplit(['&', '|', ';', '\n']).next()?;
        let words: Vec<&str> = last.split_whitespace().collect();
        let mut found = recognise(&words, self.scripts, deep)?;
        if found.separator == Separator::Wanted {
            return None;
        }
        let arguments = arguments.iter().map(|&word| word.to_owned());
        found.arguments.extend(arguments);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VITE: &str = "--port 4321 --strictPort --host 127.0.0.1";

    #[track_caller]
    fn check(command: &str, added: &str) {
        let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let adapted = adapt(&command, &script, 4321);
        assert!(adapted.starts_with(&command), "{adapted:?}");
        assert_eq!(adapted[command.len()..].join(" "), added, "{command:?}");
    }

    fn script(name: &str) -> Option<String> {
        let text = match name {
            "dev" | "start" => "vite",
            "types" => "tsc -b && NODE_ENV=development cross-env A=1 vite --open",
            "build" => "vite build",
            "both" => "vite & node api.js",
            "behind" => "vite &",
            "logged" => "vite | tee log",
            "page" => "astro dev",
            "nested" => "pnpm dev",
            "swallowed" => "npm run dev",
            "circle" => "yarn circle",
            "phone" => "npx expo start",
            "fixed" => "vite --port=5173",
            "web" => "ng serve --open",
            "other" => "node server.js",
            _ => return None,
        };
        Some(text.to_owned())
    }

    #[test]
    fn servers_that_do_not_read_port_are_told() {
        check("vite", VITE);
        check("./node_modules/.bin/vite preview", VITE);
        check("vite web --open", VITE);
        check("astro dev", "--port 4321");
        check("ng serve", "--port 4321");
        check("ng s --open", "--port 4321");
        check("expo start --web", "--port 4321");
        check("env A=1 vite", VITE);
    }

    #[test]
    fn what_serves_nothing_is_left_alone() {
        for command in [
            "vite build",
            "vite --mode x build",
            "astro build",
            "astro",
            "ng build",
            "ng",
            "expo prebuild",
            "node server.js",
            "python3 -m http.server",
            "vitest",
            "sh -c vite",
        ] {
            check(command, "");
        }
        assert_eq!(adapt(&[], &script, 1), Vec::<String>::new());
    }

    #[test]
    fn a_port_of_the_commands_own_is_respected() {
        check("vite --port 5173", "");
        check("vite --port=5173", "");
        check("expo start -p 1", "");
        check("pnpm run fixed", "");
        check("npm run dev -- --port 1", "");
        check("vite --portable", VITE);
        check("vite --host", "--port 4321 --strictPort");
        check("vite --strictPort --host=::", "--port 4321");
    }

    #[test]
    fn programs_of_packages_are_known_behind_their_runners() {
        check("npx vite", VITE);
        check("npx -y vite@latest --open", VITE);
        check("bunx --bun vite", VITE);
        check("pnpm exec vite", VITE);
        check("pnpm dlx astro@5 dev", "--port 4321");
        check("pnpm vite", VITE);
        check("yarn vite", VITE);
        check("yarn run vite", VITE);
        check("bun x vite", VITE);
        check("npm exec vite", &format!("-- {VITE}"));
        check("npm exec -- vite", VITE);
        check("npx @scope/vite", "");
        check("npx -p vite something", "");
    }

    #[test]
    fn scripts_are_looked_into() {
        check("npm run dev", &format!("-- {VITE}"));
        check("npm start", &format!("-- {VITE}"));
        check("npm run dev -- --open", VITE);
        check("npm run page", "-- --port 4321");
        check("pnpm run dev", VITE);
        check("pnpm dev", VITE);
        check("yarn dev", VITE);
        check("bun run web", "--port 4321");
        check("bun dev", VITE);
        check("npm run types", &format!("-- {VITE}"));
        check("pnpm nested", VITE);
        check("npm run phone", "-- --port 4321");
    }

    #[test]
    fn scripts_whose_last_command_is_no_server_are_left_alone() {
        for name in [
            "build",
            "both",
            "behind",
            "logged",
            "swallowed",
            "circle",
            "other",
            "missing",
        ] {
            check(&format!("npm run {name}"), "");
        }
        check("npm", "");
        check("npm run", "");
    }

    #[test]
    fn scripts_of_other_packages_are_not_guessed() {
        check("npm run dev -w web", "");
        check("npm run dev --workspace=web", "");
        check("npm --prefix web run dev", "");
        check("pnpm --filter web dev", "");
        check("pnpm dev -C web", "");
        check("npm run dev -- -w", VITE);
    }
}

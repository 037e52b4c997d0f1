//! Users and groups as the files of this machine know them (passwd(5), group(5)). What a directory in the network knows is not asked:
//! such users and groups go by their numbers.

use std::fs::File;
use std::io::Read as _;

use crate::config::control::{Allowance, Who};
use crate::hostname::HostPattern;

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";
/// Octets of each that are read.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The users and groups of this machine.
#[derive(Debug, Default)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

#[derive(Debug)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// Of this machine, now. A file that cannot be read knows nobody.
    #[must_use]
    pub fn read() -> Self {
        Self::parse(&text(USERS), &text(GROUPS))
    }

    /// Lines of another form are left out.
    #[must_use]
    pub fn parse(users: &str, groups: &str) -> Self {
        Self {
            users: users.lines().filter_map(User::parse).collect(),
            groups: groups.lines().filter_map(Group::parse).collect(),
        }
    }

    /// What a user is called, for people.
    #[must_use]
    pub fn user(&self, uid: u32) -> String {
        match self.known(uid) {
            Some(user) => format!("`{}`", user.name),
            None => format!("user number {uid}"),
        }
    }

    /// The number of a group that is named, or given by its number.
    #[must_use]
    pub fn group(&self, group: &str) -> Option<u32> {
        let named = self.groups.iter().find(|known| known.name == group);
        named.map(|known| known.gid).or_else(|| group.parse().ok())
    }

    /// The names that a user may claim.
    pub fn allowed<'a>(
        &self,
        uid: u32,
        allow: &'a [Allowance],
    ) -> impl Iterator<Item = &'a HostPattern> {
        let given = allow
            .iter()
            .filter(move |allowance| self.is(uid, &allowance.who));
        let given: Vec<_> = given.flat_map(|allowance| &allowance.names).collect();
        given.into_iter()
    }

    fn is(&self, uid: u32, who: &Who) -> bool {
        let user = self.known(uid);
        match who {
            Who::User(name) => {
                user.is_some_and(|user| user.name == *name) || *name == uid.to_string()
            }
            Who::Group(group) => user.is_some_and(|user| self.is_member(user, group)),
        }
    }

    fn is_member(&self, user: &User, group: &str) -> bool {
        let Some(gid) = self.group(group) else {
            return false;
        };
        let listed = |known: &Group| known.gid == gid && known.members.contains(&user.name);
        user.gid == gid || self.groups.iter().any(listed)
    }

    fn known(&self, uid: u32) -> Option<&User> {
        self.users.iter().find(|user| user.uid == uid)
    }
}

impl User {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let mut numbers = fields.skip(1);
        Some(Self {
            name: name.to_owned(),
            uid: numbers.next()?.parse().ok()?,
            gid: numbers.next()?.parse().ok()?,
        })
    }
}

impl Group {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let mut rest = fields.skip(1);
        let gid = rest.next()?.parse().ok()?;
        let members = rest.next().unwrap_or_default().split(',');
        Some(Self {
            name: name.to_owned(),
            gid,
            members: members.map(|member| member.trim().to_owned()).collect(),
        })
    }
}

fn text(path: &str) -> String {
    let mut octets = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut octets));
    match read {
        Ok(_length) => String::from_utf8_lossy(&octets).into_owned(),
        Err(_unreadable) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/:/bin/sh\nana:x:1001:1001::/:/bin/sh\nben:x:1002:50::/:/bin/sh\n\
                          +nis\nbroken:x:one:1\n";
    const GROUP: &str = "root:x:0:\ndev:x:50:ana, root\nana:x:1001:\nempty:x:60:\n+\n";

    #[test]
    fn a_user_has_the_names_of_its_own_and_its_groups_rules() {
        #[track_caller]
        fn check(uid: u32, expected: &[&str]) {
            let rule = |who, name: &str| Allowance {
                who,
                names: vec![HostPattern::parse(name).unwrap()],
            };
            let allow = [
                rule(Who::User("ana".to_owned()), "*.ana.test"),
                rule(Who::User("1002".to_owned()), "*.ben.test"),
                rule(Who::Group("dev".to_owned()), "*.dev.test"),
                rule(Who::Group("1001".to_owned()), "*.own.test"),
                rule(Who::Group("nobody-here".to_owned()), "*.none.test"),
                rule(Who::Group("empty".to_owned()), "*.empty.test"),
            ];
            let accounts = Accounts::parse(PASSWD, GROUP);
            let names = accounts.allowed(uid, &allow);
            let names: Vec<String> = names.map(ToString::to_string).collect();
            assert_eq!(names, expected, "{uid}");
        }
        check(1001, &["*.ana.test", "*.dev.test", "*.own.test"]);
        check(1002, &["*.ben.test", "*.dev.test"]);
        check(1003, &[]);
    }

    #[test]
    fn users_and_groups_go_by_name_or_number() {
        let accounts = Accounts::parse(PASSWD, GROUP);
        assert_eq!(accounts.group("dev"), Some(50));
        assert_eq!(accounts.group("77"), Some(77));
        assert_eq!(accounts.group("none"), None);
        assert_eq!(accounts.user(1001), "`ana`");
        assert_eq!(accounts.user(4), "user number 4");
    }
}

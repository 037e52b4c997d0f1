//! The folder that acme-companion fills for nginx-proxy. Its accounts lie in acme.sh's homes.
//! <https://github.com/nginx-proxy/acme-companion>

use crate::certs::import::certificate::Draft;
use crate::certs::import::findings::Tool;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{join, split};

/// What certificates of a test environment begin with.
const TEST_PREFIX: &str = "_test_";

/// Reads every folder that is marked as the companion's.
pub(super) fn read(survey: &mut Survey<'_>) {
    let marked: Vec<&str> = survey
        .files()
        .filter_map(|(path, _)| path.strip_suffix("/.companion"))
        .collect();
    for folder in marked {
        let (all, name) = split(folder);
        if name.starts_with(TEST_PREFIX) {
            let place = survey.tree.place(folder);
            survey.remark(format!("{place} is from a CA's test environment: left out"));
        } else {
            certificate(survey, folder);
        }
        survey.claim(Tool::Companion, folder);
        for link in ["crt", "key", "chain.pem", "dhparam.pem"] {
            survey.claim(Tool::Companion, &join(all, &format!("{name}.{link}")));
        }
        for own in ["default.crt", "default.key", "dhparam.pem"] {
            survey.claim(Tool::Companion, &join(all, own));
        }
    }
}

fn certificate(survey: &mut Survey<'_>, folder: &str) {
    let file = |name: &str| join(folder, name);
    let chain = survey.first_part(&[file("fullchain.pem"), file("cert.pem")]);
    let key = survey.part(&file("key.pem"));
    let known = survey.certificate_with(&chain, &key);
    let (directory, account) = known.map_or((None, None), |known| {
        (known.directory.clone(), known.account)
    });
    survey.add(Draft {
        tool: Tool::Companion,
        place: survey.tree.place(folder),
        chain,
        key,
        said: Vec::new(),
        directory,
        account,
    });
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::import::fixture::{Ca, found, p256, sound, survives_damage};

    #[test]
    fn a_certificate_is_told_once_and_tests_are_left_out() {
        let ca = Ca::new();
        let (pair, test) = (ca.pair(&["a.test"]), ca.pair(&["b.test"]));
        let files = [
            ("a.test/.companion", ""),
            ("a.test/fullchain.pem", pair.chain.as_str()),
            ("a.test/cert.pem", &pair.leaf),
            ("a.test/key.pem", &pair.key),
            ("a.test.crt", &pair.chain),
            ("a.test.key", &pair.key),
            ("default.crt", &test.leaf),
            ("default.key", &test.key),
            ("_test_b.test/.companion", ""),
            ("_test_b.test/fullchain.pem", &test.chain),
            ("_test_b.test/key.pem", &test.key),
        ];
        let findings = found(&files);
        assert_eq!(findings.tools, [Tool::Companion]);
        assert_eq!(sound(&findings).place, "/base/a.test");
        assert!(findings.remarks[0].contains("_test_b.test"), "{findings:?}");
        survives_damage(&files);
    }

    #[test]
    fn the_homes_beside_it_bring_the_account() {
        let pair = Ca::new().pair(&["a.test"]);
        let (_, sec1) = p256();
        let record = "Le_Domain='a.test'\nLe_API='https://ca.test/dir'\n";
        let findings = found(&[
            ("nginx/certs/a.test/.companion", ""),
            ("nginx/certs/a.test/fullchain.pem", &pair.chain),
            ("nginx/certs/a.test/key.pem", &pair.key),
            ("acme.sh/default/a.test/a.test.conf", record),
            ("acme.sh/default/a.test/a.test.key", &pair.key),
            ("acme.sh/default/a.test/fullchain.cer", &pair.chain),
            ("acme.sh/default/ca/ca.test/dir/account.key", &sec1),
        ]);
        assert_eq!(findings.tools, [Tool::AcmeSh, Tool::Companion]);
        let certificate = sound(&findings);
        assert_eq!(
            certificate.directory.as_deref(),
            Some("https://ca.test/dir")
        );
        assert_eq!(certificate.account, Some(0));
    }
}

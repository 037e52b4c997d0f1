//! What Nginx Proxy Manager keeps beside certbot's folder: certificates of the user's own. <https://nginxproxymanager.com>

use crate::certs::import::certbot::is_managed;
use crate::certs::import::certificate::Draft;
use crate::certs::import::findings::Tool;
use crate::certs::import::survey::Survey;
use crate::certs::import::tree::{join, split};

/// Reads every `custom_ssl/npm-<number>`.
pub(super) fn read(survey: &mut Survey<'_>) {
    for folder in survey.folders() {
        let (above, name) = split(folder);
        if split(above).1 != "custom_ssl" || !is_managed(name) {
            continue;
        }
        let file = |name: &str| join(folder, name);
        survey.add(Draft {
            tool: Tool::ProxyManager,
            place: survey.tree.place(folder),
            chain: survey.first_part(&[file("fullchain.pem"), file("certificate.pem")]),
            key: survey.first_part(&[file("privkey.pem"), file("certificate_key.pem")]),
            said: Vec::new(),
            directory: None,
            account: None,
        });
        survey.claim(Tool::ProxyManager, folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::import::fixture::{Ca, found, sound, survives_damage};

    #[test]
    fn certificates_of_the_users_own_are_read() {
        let pair = Ca::new().pair(&["a.test"]);
        let files = [
            ("data/custom_ssl/npm-3/fullchain.pem", pair.chain.as_str()),
            ("data/custom_ssl/npm-3/privkey.pem", &pair.key),
        ];
        let findings = found(&files);
        assert_eq!(findings.tools, [Tool::ProxyManager]);
        assert_eq!(sound(&findings).place, "/base/data/custom_ssl/npm-3");
        survives_damage(&files);
    }
}

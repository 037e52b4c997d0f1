//! Folders and files as tools that no package has lay them out, made of what lego got.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::Left;
use super::tools::{Tool, lego};
use crate::support::pebble::Pebble;

/// What lego got, to be laid out otherwise.
pub(super) struct Goods {
    pub(super) tool: Tool,
    pub(super) url: String,
    directory: String,
    host: String,
    fullchain: String,
    leaf: String,
    chain: String,
    key: String,
    account_key: String,
}

pub(super) const NAME: &str = "a.example.com";

impl Goods {
    pub(super) fn of(ca: &Pebble) -> Self {
        let tool = lego(ca, &[NAME]);
        let account = tool.find("lego/accounts", "account.json");
        let account = tool.json(account.to_str().unwrap());
        let account_key = tool.find("lego/accounts", "ada@example.com.key");
        let fullchain = tool.read(&format!("lego/certificates/{NAME}.crt"));
        let end = "-----END CERTIFICATE-----\n";
        let (leaf, chain) = fullchain.split_once(end).unwrap();
        let directory = ca.directory();
        Self {
            url: account["registration"]["uri"].as_str().unwrap().to_owned(),
            host: directory.split('/').nth(2).unwrap().to_owned(),
            directory,
            leaf: format!("{leaf}{end}"),
            chain: chain.trim_start().to_owned(),
            key: tool.read(&format!("lego/certificates/{NAME}.key")),
            account_key: tool.read(account_key.to_str().unwrap()),
            fullchain,
            tool,
        }
    }

    /// With the account; or without, where the tool keeps none that can be found.
    pub(super) fn left(&self, with_account: bool) -> Left {
        self.tool.write("leaf.pem", &self.leaf);
        let url = with_account.then(|| self.url.clone());
        Left::new(&[NAME], &self.tool.at("leaf.pem"), url)
    }

    fn put(&self, path: &str, text: &str) {
        self.tool.write(path, text);
    }

    /// `acme.json` of Traefik 3; its account's key is what stands between the lines of a PEM file.
    pub(super) fn traefik(&self) -> PathBuf {
        let der: String = self
            .account_key
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let base64 = |text: &str| BASE64_STANDARD.encode(text);
        self.put(
            "traefik/acme.json",
            &json!({ "resolver": {
                "Account": {
                    "Email": "ada@example.com",
                    "Registration": { "body": { "status": "valid" }, "uri": self.url },
                    "PrivateKey": der,
                    "KeyType": "P256",
                },
                "Certificates": [{
                    "domain": { "main": NAME },
                    "certificate": base64(&self.fullchain),
                    "key": base64(&self.key),
                    "Store": "default",
                }],
            }})
            .to_string(),
        );
        self.tool.at("traefik/acme.json")
    }

    /// `~/.acme.sh`, where the folders of elliptic keys end in `_ecc`.
    pub(super) fn acme_sh(&self) -> PathBuf {
        self.acme_sh_account("acme.sh");
        let folder = format!("acme.sh/{NAME}_ecc");
        self.put(&format!("{folder}/{NAME}.cer"), &self.leaf);
        self.put(&format!("{folder}/{NAME}.key"), &self.key);
        self.put(&format!("{folder}/fullchain.cer"), &self.fullchain);
        self.put(&format!("{folder}/ca.cer"), &self.chain);
        self.put(
            &format!("{folder}/{NAME}.conf"),
            &format!(
                "Le_Domain='{NAME}'\nLe_Alt='no'\nLe_Webroot='/var/www'\nLe_API='{}'\nLe_Keylength='ec-256'\nLe_NextRenewTime='1800000000'\n",
                self.directory
            ),
        );
        self.tool.at("acme.sh")
    }

    fn acme_sh_account(&self, home: &str) {
        let folder = format!("{home}/ca/{}/dir", self.host);
        self.put(&format!("{home}/account.conf"), "LOG_FILE='/dev/null'\n");
        self.put(&format!("{folder}/account.key"), &self.account_key);
        self.put(&format!("{folder}/account.json"), "{\"status\":\"valid\"}");
        self.put(
            &format!("{folder}/ca.conf"),
            &format!("ACCOUNT_URL='{}'\nCA_KEY_HASH='x'\n", self.url),
        );
    }

    /// acme-companion's volumes below one folder: what nginx reads, and acme.sh's own.
    pub(super) fn companion(&self) -> PathBuf {
        let certs = format!("companion/etc/nginx/certs/{NAME}");
        self.put(&format!("{certs}/key.pem"), &self.key);
        self.put(&format!("{certs}/cert.pem"), &self.leaf);
        self.put(&format!("{certs}/chain.pem"), &self.chain);
        self.put(&format!("{certs}/fullchain.pem"), &self.fullchain);
        self.put(&format!("{certs}/.companion"), "");
        let folder = self.tool.at("companion/etc/nginx/certs");
        for (link, file) in [("crt", "fullchain"), ("key", "key"), ("chain.pem", "chain")] {
            let to = format!("./{NAME}/{file}.pem");
            std::os::unix::fs::symlink(to, folder.join(format!("{NAME}.{link}"))).unwrap();
        }
        let home = "companion/etc/acme.sh/ada@example.com";
        self.acme_sh_account(home);
        self.put(
            &format!("{home}/{NAME}_ecc/{NAME}.conf"),
            &format!(
                "Le_Domain='{NAME}'\nLe_Alt='no'\nLe_API='{}'\n",
                self.directory
            ),
        );
        self.put(&format!("{home}/{NAME}_ecc/{NAME}.key"), &self.key);
        self.put(&format!("{home}/{NAME}_ecc/{NAME}.cer"), &self.leaf);
        self.put(&format!("{home}/{NAME}_ecc/fullchain.cer"), &self.fullchain);
        self.tool.at("companion")
    }

    /// lego 5 keeps an account under an id, with its URL and its directory.
    pub(super) fn lego_5(&self) -> PathBuf {
        let at = |ending: &str| format!("lego5/certificates/{NAME}{ending}");
        self.put(&at(".crt"), &self.fullchain);
        self.put(&at(".key"), &self.key);
        self.put(&at(".issuer.crt"), &self.chain);
        self.put(
            &at(".json"),
            &json!({ "id": NAME, "domains": [NAME], "keyType": "EC256", "certUrl": "x" })
                .to_string(),
        );
        let folder = format!("lego5/accounts/{}/ada", self.host.replace(':', "_"));
        self.put(
            &format!("{folder}/account.json"),
            &json!({
                "id": "ada",
                "email": "ada@example.com",
                "keyType": "EC256",
                "server": self.directory,
                "registration": { "status": "valid", "accountURL": self.url },
            })
            .to_string(),
        );
        self.put(&format!("{folder}/ada.key"), &self.account_key);
        self.tool.at("lego5")
    }

    /// A secret as `kubectl get secret -o json` shows it.
    pub(super) fn kubernetes(&self) -> PathBuf {
        let base64 = |text: &str| BASE64_STANDARD.encode(text);
        self.put(
            "secret.json",
            &json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {
                    "name": "shop-tls",
                    "annotations": {
                        "cert-manager.io/certificate-name": "shop",
                        "cert-manager.io/issuer-name": "letsencrypt",
                        "cert-manager.io/alt-names": NAME,
                    },
                },
                "data": { "tls.crt": base64(&self.fullchain), "tls.key": base64(&self.key) },
            })
            .to_string(),
        );
        self.tool.at("secret.json")
    }

    /// The same as `kubectl get secret -o yaml` shows it, in a list.
    pub(super) fn kubernetes_yaml(&self) -> PathBuf {
        let base64 = |text: &str| BASE64_STANDARD.encode(text);
        let (chain, key) = (base64(&self.fullchain), base64(&self.key));
        self.put(
            "yaml/secrets.yaml",
            &format!(
                "apiVersion: v1\nitems:\n- apiVersion: v1\n  data:\n    tls.crt: {chain}\n    tls.key: {key}\n  kind: Secret\n  metadata:\n    annotations:\n      cert-manager.io/alt-names: {NAME}\n      cert-manager.io/issuer-name: letsencrypt\n    name: shop-tls\n    namespace: shop\n  type: kubernetes.io/tls\nkind: List\nmetadata:\n  resourceVersion: \"\"\n"
            ),
        );
        self.tool.at("yaml")
    }

    /// The volume of a secret: links to a folder that is swapped.
    pub(super) fn mounted_secret(&self) -> PathBuf {
        self.put("mount/..2026_11_22/tls.crt", &self.fullchain);
        self.put("mount/..2026_11_22/tls.key", &self.key);
        let mount = self.tool.at("mount");
        std::os::unix::fs::symlink("..2026_11_22", mount.join("..data")).unwrap();
        for name in ["tls.crt", "tls.key"] {
            std::os::unix::fs::symlink(format!("..data/{name}"), mount.join(name)).unwrap();
        }
        mount
    }

    /// Nginx Proxy Manager: a certbot tree under a number, and a pair that was uploaded.
    pub(super) fn proxy_manager(&self) -> PathBuf {
        let archive = "npm/letsencrypt/archive/npm-1";
        let live = self.tool.at("npm/letsencrypt/live/npm-1");
        fs::create_dir_all(&live).unwrap();
        for (name, text) in [
            ("cert", &self.leaf),
            ("chain", &self.chain),
            ("fullchain", &self.fullchain),
            ("privkey", &self.key),
        ] {
            self.put(&format!("{archive}/{name}1.pem"), text);
            let to = format!("../../archive/npm-1/{name}1.pem");
            std::os::unix::fs::symlink(to, live.join(format!("{name}.pem"))).unwrap();
        }
        let root = self.tool.at("npm/letsencrypt");
        let line = |name: &str| format!("{name} = {}/live/npm-1/{name}.pem\n", root.display());
        self.put(
            "npm/letsencrypt/renewal/npm-1.conf",
            &format!(
                "version = 2.1.0\narchive_dir = {}/archive/npm-1\n{}{}{}{}[renewalparams]\naccount = 0\nserver = {}\nauthenticator = webroot\nkey_type = ecdsa\n",
                root.display(),
                line("cert"),
                line("privkey"),
                line("chain"),
                line("fullchain"),
                self.directory
            ),
        );
        self.put("npm/data/custom_ssl/npm-2/fullchain.pem", &self.fullchain);
        self.put("npm/data/custom_ssl/npm-2/privkey.pem", &self.key);
        self.tool.at("npm")
    }
}

//! How a tool is kept from renewing what is ours now: two clients would race, and both count against the CA's limits.

use crate::certs::import::findings::Tool;

/// What to do about the tool, as a sentence.
pub(super) fn farewell(tool: Tool) -> &'static str {
    match tool {
        Tool::Caddy => {
            "Caddy would go on renewing: `systemctl disable --now caddy`, or stop its container"
        }
        Tool::Traefik => {
            "Traefik would go on renewing: stop it, or take `certResolver` out of its routers"
        }
        Tool::Certbot => {
            "certbot would go on renewing: `systemctl disable --now certbot.timer`, and remove /etc/cron.d/certbot if it is there"
        }
        Tool::ProxyManager => "Nginx Proxy Manager would go on renewing: stop its container",
        Tool::Lego => {
            "lego would go on renewing: remove the timer or cron job that runs `lego renew`"
        }
        Tool::AcmeSh => "acme.sh would go on renewing: `acme.sh --uninstall-cronjob`",
        Tool::Companion => "acme-companion would go on renewing: stop its container",
        Tool::Dehydrated => {
            "dehydrated would go on renewing: remove the timer or cron job that runs `dehydrated -c`"
        }
        Tool::Acmetool => {
            "acmetool would go on renewing: remove the timer or cron job that runs it, as /etc/cron.d/acmetool"
        }
        Tool::Kubernetes => {
            "cert-manager would go on renewing: delete its Certificate objects, which leaves their secrets"
        }
        Tool::Plain => "if something renews these files, stop it: onedoor renews them now",
    }
}

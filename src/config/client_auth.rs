//! `client_ca` and `client_auth`: which clients may connect.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::enclosed::{Authorities, Enclosed, Flaw};
use super::problem::Problem;
use super::problems::Problems;
use super::reader::{Item, Layers};
use super::site::{ClientAuth, Demand};

const DEMANDS: &[(&str, Demand)] = &[("require", Demand::Require), ("request", Demand::Request)];

/// Reads both keys. An inner `client_auth` may stand alone and changes what an outer `client_ca` asks for; an inner `client_ca` begins
/// anew.
pub(super) fn client_auth(
    layers: &Layers<'_>,
    enclosed: &mut Enclosed<'_>,
    problems: &mut Problems,
) -> Option<Arc<ClientAuth>> {
    let mut demand: Option<Item<'_>> = None;
    let mut authorities = None;
    for table in layers.inner_first() {
        demand = demand.or_else(|| table.get("client_auth"));
        authorities = table.get("client_ca");
        if authorities.is_some() {
            break;
        }
    }
    let Some(authorities) = authorities else {
        if let Some(demand) = demand {
            problems.error(
                "missing-key",
                "`client_auth` needs `client_ca`",
                demand.key_at,
                "nobody says which certificates are good",
                r#"client_ca = "clients.pem": the certificates of the authorities that sign the clients'"#,
            );
        }
        return None;
    };
    let demand = match demand {
        Some(item) => item.choice(DEMANDS, problems),
        None => Some(Demand::Require),
    };
    if authorities.as_flag() == Some(false) {
        return None;
    }
    enclosed.client_auth(&authorities, demand?, problems)
}

/// Reports what stands beside `tls = "off"` in the site's own table.
pub(super) fn refuse_without_tls(layers: &Layers<'_>, off: &Item<'_>, problems: &mut Problems) {
    for key in ["client_ca", "client_auth"] {
        let own = layers.site.and_then(|site| site.get(key));
        if let Some(item) = own.filter(|item| item.as_flag() != Some(false)) {
            let message = format!("`{key}` does not go with `tls = \"off\"`");
            problems.push(
                Problem::error("conflicting-keys", message)
                    .at(item.key_at, "certificates are shown inside TLS")
                    .also(off.at(), "there is none because of this"),
            );
        }
    }
    let inherited = layers
        .defaults
        .and_then(|defaults| defaults.get("client_ca"));
    if let Some(item) = inherited.filter(|item| item.as_flag() != Some(false))
        && layers
            .site
            .is_some_and(|site| site.has("tls") && !site.has("client_ca"))
    {
        problems.push(
            Problem::warning(
                "unguarded",
                "`client_ca` of the defaults does not guard a site without TLS",
            )
            .at(off.at(), "clients without a certificate may ask here")
            .also(item.key_at, "certificates are shown inside TLS")
            .help("`client_ca = false` beside `tls = \"off\"` says that this is meant"),
        );
    }
}

/// The certificates of a PEM file.
pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Authorities, Flaw> {
    let flaw = |message: String| {
        Flaw {
        code: "bad-client-ca",
        message,
        label: "wanted as PEM",
        help: Some(
            "the file holds the certificates of the authorities that sign the clients', each from `-----BEGIN CERTIFICATE-----` on"
                .to_owned(),
        ),
    }
    };
    let shown = path.display();
    let mut authorities: Vec<Box<[u8]>> = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(content) {
        let number = authorities.len() + 1;
        let der = certificate
            .map_err(|why| flaw(format!("certificate {number} of {shown} is damaged: {why}")))?;
        match x509_parser::parse_x509_certificate(&der) {
            Ok(([], _)) => authorities.push(der.as_ref().into()),
            Ok(_) | Err(_) => {
                return Err(flaw(format!("certificate {number} of {shown} is damaged")));
            }
        }
    }
    if authorities.is_empty() {
        return Err(flaw(format!("there is no certificate in {shown}")));
    }
    Ok(authorities.into())
}

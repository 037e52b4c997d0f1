//! Clients: curl for what people do, rustls over a plain socket for every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

use super::PATIENCE;
use super::door::Door;

/// A TLS stream that the test reads and writes by itself.
pub(crate) type Tls<S = TcpStream> = StreamOwned<ClientConnection, S>;

/// curl to a host of a door, by the door's own address. Panics when curl cannot be run; returns exit code and output.
pub(crate) fn curl(door: &Door, host: &str, path: &str, options: &[&str]) -> (i32, String) {
    let address = door.tls();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(door.ca())
        .arg("--resolve")
        .arg(format!("{host}:{}:{}", address.port(), address.ip()))
        .args(options)
        .arg(format!("https://{host}:{}{path}", address.port()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// The body that curl gets, which must be a success.
#[track_caller]
pub(crate) fn get(door: &Door, host: &str, path: &str) -> String {
    let (code, text) = curl(door, host, path, &["--fail"]);
    assert_eq!(code, 0, "{text}");
    text
}

/// A handshake with a door, verified by its local CA.
#[track_caller]
pub(crate) fn tls(door: &Door, name: &str, protocols: &[&str]) -> Tls {
    try_tls(door.tls(), &roots(door), name, protocols).unwrap()
}

/// Trusts the door's local CA.
pub(crate) fn roots(door: &Door) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(door.ca()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    Arc::new(roots)
}

/// A handshake that may fail.
pub(crate) fn try_tls(
    address: SocketAddr,
    roots: &Arc<RootCertStore>,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<Tls> {
    tls_over(try_plain(address)?, roots, name, protocols)
}

/// The same on a stream that is there already.
pub(crate) fn tls_over<S: Read + Write>(
    stream: S,
    roots: &Arc<RootCertStore>,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<Tls<S>> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots.clone())
    .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// A TCP connection whose reads give up in time.
pub(crate) fn plain(address: SocketAddr) -> TcpStream {
    try_plain(address).unwrap()
}

fn try_plain(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Writes a request and reads to the end of the connection.
pub(crate) fn ask(stream: &mut (impl Read + Write), request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    stream.flush().unwrap();
    read_all(stream)
}

/// Reads until the other side closes, however it does.
pub(crate) fn read_all(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut space = [0; 16 << 10];
    while let Ok(read) = stream.read(&mut space) {
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&space[..read]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

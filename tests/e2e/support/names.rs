//! A name server that says what a test wants, at an address and port where everybody looks, and doors that ask it.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use super::door::Home;

const PORT: u16 = 53;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const NO_SUCH_NAME: u8 = 3;

/// Knows one answer to every question. Its thread ends with the test process.
pub(crate) struct NameServer {
    pub(crate) address: Ipv4Addr,
    saying: Arc<Mutex<Saying>>,
}

struct Saying {
    mood: Mood,
    asked: Vec<String>,
}

/// What it says to whoever asks.
#[derive(Debug, Clone)]
pub(crate) enum Mood {
    /// Each name has these addresses, for so many seconds.
    At(Vec<IpAddr>, u32),
    NoSuchName,
    Silent,
}

impl NameServer {
    #[track_caller]
    pub(crate) fn saying(mood: Mood) -> Self {
        let address = own_address();
        let socket = UdpSocket::bind((address, PORT)).expect("only root may be asked for names");
        let saying = Arc::new(Mutex::new(Saying {
            mood,
            asked: Vec::new(),
        }));
        let said = saying.clone();
        thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((length, asker)) = socket.recv_from(&mut query) {
                if let Some(answer) = said.lock().unwrap().answer(&query[..length]) {
                    let _lost = socket.send_to(&answer, asker);
                }
            }
        });
        Self { address, saying }
    }

    /// From now on.
    pub(crate) fn says(&self, mood: Mood) {
        self.saying.lock().unwrap().mood = mood;
    }

    /// How often a name was asked for, in either family.
    pub(crate) fn asked(&self, name: &str) -> usize {
        let saying = self.saying.lock().unwrap();
        saying.asked.iter().filter(|asked| *asked == name).count()
    }
}

impl Saying {
    /// RFC 1035 section 4, as far as it takes one question.
    fn answer(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = question(query)?;
        let kind = u16::from_be_bytes([query[end], query[end + 1]]);
        self.asked.push(name);
        let (code, addresses, ttl) = match &self.mood {
            Mood::At(addresses, ttl) => (0, addresses.clone(), *ttl),
            Mood::NoSuchName => (NO_SUCH_NAME, Vec::new(), 0),
            Mood::Silent => return None,
        };
        let fits = |address: &IpAddr| match address {
            IpAddr::V4(_) => kind == TYPE_A,
            IpAddr::V6(_) => kind == TYPE_AAAA,
        };
        let addresses: Vec<IpAddr> = addresses.into_iter().filter(fits).collect();
        let mut answer = query[..2].to_vec();
        answer.extend([
            0x81,
            0x80 | code,
            0,
            1,
            0,
            u8::try_from(addresses.len()).unwrap(),
        ]);
        answer.extend([0; 4]);
        answer.extend(&query[12..end + 4]);
        for address in addresses {
            answer.extend([0xc0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(ttl.to_be_bytes());
            let octets = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            answer.extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
            answer.extend(octets);
        }
        Some(answer)
    }
}

/// The name of the first question, and where its type begins.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    (query.len() >= at + 4).then(|| (labels.join("."), at))
}

/// An address of this machine that no other test has.
pub(crate) fn own_address() -> Ipv4Addr {
    let [one, two, three] = [0; 3].map(|_: u8| fastrand::u8(1..=254));
    Ipv4Addr::new(127, one, two, three)
}

/// `onedoor up` in a world where names are asked of this address, and where the hosts file has these lines.
pub(crate) fn command(home: &Home, server: Ipv4Addr, hosts: &str) -> Command {
    let file = |name: &str, text: &str| {
        let mut file = File::create(home.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    file(
        "resolv.conf",
        &format!("nameserver {server}\noptions timeout:3 attempts:1\n"),
    );
    file("hosts", &format!("127.0.0.1 localhost\n{hosts}\n"));
    let script = "mount --bind resolv.conf /etc/resolv.conf && mount --bind hosts /etc/hosts && exec \"$0\" up";
    home.command_by("unshare", &["--mount", "sh", "-c", script])
}

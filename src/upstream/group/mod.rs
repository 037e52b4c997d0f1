//! A worker's view of the targets of a rule: which one an exchange asks, and what became of it.

mod asking;
mod member;
pub(super) mod place;
mod tried;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use self::member::Member;
use self::place::Named;
use super::balance::{Candidate, least, rendezvous, smooth, sticky, two};
use super::health::Standings;
use super::names::Names;
use crate::config::backends::{Backends, Balance, Role};

pub use self::asking::Asking;
pub use self::tried::Tried;

/// Targets that are told by name when none can be asked.
const MEMBERS_TOLD_MAX: usize = 8;

/// The groups of one worker, each made when it is first asked for.
#[derive(Debug)]
pub struct Groups {
    standings: Standings,
    names: Names,
    now: Cell<Duration>,
    /// By the address of their targets, which they hold, so that no others can have it.
    known: RefCell<HashMap<usize, Rc<Group>, RandomState>>,
}

/// The targets of one rule.
#[derive(Debug)]
pub struct Group {
    backends: Arc<Backends>,
    members: Box<[Member]>,
    /// Targets that are names, as of when the members were made.
    named: Box<[Named]>,
    counting: Counting,
    credits: RefCell<Box<[i64]>>,
    /// Filled for each choice, so that none allocates.
    candidates: RefCell<Vec<Candidate>>,
}

/// Whether exchanges under way are counted: cores that count the same wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    Counted,
    /// There is nothing to choose and no limit.
    Omitted,
}

/// Whom an exchange would like to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Anyone,
    /// Whomever consistent hashing gives the key to.
    Key(u64),
    /// The one that its cookie names.
    Member(usize),
}

/// Among whom an exchange looks, and for whom.
#[derive(Debug)]
pub struct Aim {
    pub group: Rc<Group>,
    pub wish: Wish,
}

/// Who may be asked in one round of the search.
#[derive(Debug, Clone, Copy)]
enum Round {
    /// Nobody who was left out.
    Open(Role),
    /// All are left out: then better somebody than nobody.
    Panic(Role),
}

const ROUNDS: [Round; 4] = [
    Round::Open(Role::Main),
    Round::Open(Role::Backup),
    Round::Panic(Role::Main),
    Round::Panic(Role::Backup),
];

impl Groups {
    /// None yet.
    #[must_use]
    pub fn new(standings: Standings, names: Names) -> Self {
        let now = Cell::new(standings.elapsed());
        Self {
            standings,
            names,
            now,
            known: RefCell::default(),
        }
    }

    /// The group of these targets, at the addresses that their names have now.
    #[must_use]
    pub fn of(&self, backends: &Arc<Backends>) -> Rc<Group> {
        let address = Arc::as_ptr(backends).addr();
        if let Some(group) = self.known.borrow().get(&address)
            && group.is_current()
        {
            return group.clone();
        }
        let group = Group::new(backends.clone(), &self.standings, &self.names);
        let group = Rc::new(group);
        self.known.borrow_mut().insert(address, group.clone());
        group
    }

    /// The group of these targets, and whom a client with this head would like to ask of it. None: what it sends is not understood.
    #[must_use]
    pub fn aim(&self, backends: &Arc<Backends>, head: Option<&Parts>, client: IpAddr) -> Aim {
        let group = self.of(backends);
        let wish = group.wish(head, client);
        Aim { group, wish }
    }

    /// Called at every tick: reads the clock for all choices until the next one.
    pub fn tick(&self) {
        self.now.set(self.standings.elapsed());
    }

    /// The time as of the last tick.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now.get()
    }

    /// Forgets all groups: there is a new configuration. Exchanges keep theirs.
    pub fn clear(&self) {
        self.known.borrow_mut().clear();
    }
}

impl Group {
    fn new(backends: Arc<Backends>, standings: &Standings, names: &Names) -> Self {
        let (places, named) = place::all(&backends, names);
        let members = member::all(&backends, places, standings);
        let counting = if members.len() > 1 || backends.max_conns.is_some() {
            Counting::Counted
        } else {
            Counting::Omitted
        };
        let group = Self {
            credits: RefCell::new(vec![0; members.len()].into()),
            candidates: RefCell::new(Vec::with_capacity(members.len())),
            backends,
            members,
            named,
            counting,
        };
        group.begin_anywhere();
        group
    }

    fn is_current(&self) -> bool {
        self.named.iter().all(Named::is_current)
    }

    /// Many workers, or a worker that is often made anew, do not all begin with the same target.
    fn begin_anywhere(&self) {
        for _turn in 0..fastrand::usize(..self.members.len().max(1)) {
            self.gather(Round::Panic(Role::Main), &Tried::default(), Duration::ZERO);
            smooth::next(&self.candidates.borrow(), &mut self.credits.borrow_mut());
        }
    }

    /// How many exchanges there may be at once at one target.
    #[must_use]
    pub fn max_conns(&self) -> Option<NonZeroU32> {
        self.backends.max_conns
    }

    /// What it was made of.
    #[must_use]
    pub fn backends(&self) -> &Arc<Backends> {
        &self.backends
    }

    fn wish(&self, head: Option<&Parts>, client: IpAddr) -> Wish {
        match &self.backends.balance {
            Balance::RoundRobin | Balance::LeastConn | Balance::Random => Wish::Anyone,
            Balance::IpHash => match client.to_canonical() {
                IpAddr::V4(address) => Wish::Key(rendezvous::key([&address.octets()[..]])),
                IpAddr::V6(address) => Wish::Key(rendezvous::key([&address.octets()[..]])),
            },
            Balance::Header(name) => head
                .and_then(|head| key_of(head, name))
                .map_or(Wish::Anyone, Wish::Key),
            Balance::Cookie(name) => {
                let cookies = self.members.iter().flat_map(|member| &member.cookie);
                let ids = cookies.map(|cookie| cookie.id);
                head.and_then(|head| sticky::named(&head.headers, name, &ids))
                    .map_or(Wish::Anyone, Wish::Member)
            }
        }
    }

    /// The next one to ask, which is none of `tried`. None when nobody is left: all were tried, or active checks say that they are down.
    #[must_use]
    pub fn choose(self: &Rc<Self>, tried: &mut Tried, wish: Wish, now: Duration) -> Option<Asking> {
        let index = match &*self.members {
            [only] => (self.may_ask(only) && !tried.contains(0)).then_some(0),
            _ => self.search(tried, wish, now),
        }?;
        tried.insert(index);
        Some(Asking::begin(self.clone(), index, now))
    }

    fn search(&self, tried: &Tried, wish: Wish, now: Duration) -> Option<usize> {
        // Whoever has a cookie stays where it is, even at a backup when the main targets are back.
        if let Wish::Member(index) = wish
            && let Some(member) = self.members.get(index)
            && !tried.contains(index)
            && self.may_ask(member)
            && member.standing.is_open(now)
        {
            return Some(index);
        }
        ROUNDS.into_iter().find_map(|round| {
            self.gather(round, tried, now);
            self.pick(wish)
        })
    }

    fn gather(&self, round: Round, tried: &Tried, now: Duration) {
        let mut candidates = self.candidates.borrow_mut();
        candidates.clear();
        for (index, member) in self.members.iter().enumerate() {
            let is_in_round = match round {
                Round::Open(role) => member.role == role && member.standing.is_open(now),
                Round::Panic(role) => member.role == role,
            };
            if is_in_round && !tried.contains(index) && self.may_ask(member) {
                candidates.push(member.candidate(index, now));
            }
        }
    }

    fn pick(&self, wish: Wish) -> Option<usize> {
        let candidates = self.candidates.borrow();
        let mut credits = self.credits.borrow_mut();
        match wish {
            Wish::Key(key) => return rendezvous::choose(&candidates, key),
            Wish::Member(index) if candidates.iter().any(|known| known.index == index) => {
                return Some(index);
            }
            Wish::Member(_) | Wish::Anyone => {}
        }
        match &self.backends.balance {
            Balance::LeastConn => least::next(&candidates, &mut credits),
            Balance::Random => two::next(&candidates, |below| fastrand::u64(..below)),
            Balance::RoundRobin | Balance::IpHash | Balance::Cookie(_) | Balance::Header(_) => {
                smooth::next(&candidates, &mut credits)
            }
        }
    }

    /// Whether active checks let it be asked. One that others check is none of a rule's business that checks nothing.
    fn may_ask(&self, member: &Member) -> bool {
        self.backends.health.is_none() || member.standing.is_up()
    }

    /// Why nobody can be asked, in words.
    #[must_use]
    pub fn nobody(&self) -> String {
        let mut words = "no target can be asked, by their health checks all are down: ".to_owned();
        for (index, member) in self.members.iter().take(MEMBERS_TOLD_MAX).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            // Writing into a string cannot fail.
            let _written = match member.standing.down() {
                Some(why) => write!(words, "{comma}{} ({why})", member.endpoint),
                None => write!(words, "{comma}{}", member.endpoint),
            };
        }
        if self.members.len() > MEMBERS_TOLD_MAX {
            words.push_str(", …");
        }
        words
    }
}

/// The key of a field's values; none if there are none. Over HTTP/2 the host is no field.
fn key_of(head: &Parts, name: &HeaderName) -> Option<u64> {
    let values = head.headers.get_all(name);
    if values.iter().next().is_some() {
        return Some(rendezvous::key(values.iter().map(HeaderValue::as_bytes)));
    }
    let authority = head.uri.authority().filter(|_host| name == HOST)?;
    Some(rendezvous::key([authority.as_str().as_bytes()]))
}

#[cfg(test)]
mod tests;

//! Right, wrong and unknown, at once and in crowds.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use super::*;
use crate::config::secret::Secret;

/// Of the least cost, so that the tests do not take long.
fn hashed(password: &str) -> PasswordHash {
    PasswordHash::Bcrypt(Secret::new(&bcrypt::hash(password, 4).unwrap()))
}

fn file(users: &[(&str, &str)]) -> Htpasswd {
    let users = users
        .iter()
        .map(|(user, password)| ((*user).into(), hashed(password)));
    Htpasswd {
        realm: "a.test".into(),
        users: Arc::new(users.collect()),
    }
}

fn question(passwords: &Passwords, file: &Htpasswd, user: &str, password: &str) -> Question {
    let credentials = Credentials {
        user: user.into(),
        password: password.into(),
    };
    passwords.question(file, credentials, client(0)).unwrap()
}

fn client(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

#[tokio::test]
async fn right_is_remembered_and_wrong_is_not() {
    let (passwords, file, now) = (
        Passwords::default(),
        file(&[("ada", "x"), ("ben", "y")]),
        Instant::now(),
    );
    for (user, password, expected) in [
        ("ada", "x", Finding::Right),
        ("ada", "y", Finding::Wrong),
        ("ben", "y", Finding::Right),
        ("eve", "x", Finding::Wrong),
        ("eve", "y", Finding::Wrong),
        ("", "", Finding::Wrong),
    ] {
        let question = question(&passwords, &file, user, password);
        assert!(!passwords.is_known(&question, now));
        assert_eq!(passwords.find(&question, now).await, expected, "{user}");
        assert_eq!(
            passwords.is_known(&question, now),
            expected == Finding::Right,
            "{user}"
        );
        assert!(!passwords.is_known(&question, now + RIGHT_TIME));
    }
    assert!(passwords.lock().asked.is_empty());
}

#[tokio::test]
async fn a_hash_of_argon2_is_checked_by_its_own_parameters() {
    // printf x | argon2 somesalt -id -t 1 -m 6 -p 1 -e
    let made = argon2_of("x");
    let mut file = file(&[]);
    Arc::make_mut(&mut file.users).insert("ada".into(), PasswordHash::Argon2(Secret::new(&made)));
    let passwords = Passwords::default();
    let now = Instant::now();
    assert_eq!(
        passwords
            .find(&question(&passwords, &file, "ada", "x"), now)
            .await,
        Finding::Right
    );
    assert_eq!(
        passwords
            .find(&question(&passwords, &file, "ada", "X"), now)
            .await,
        Finding::Wrong
    );
}

fn argon2_of(password: &str) -> String {
    use argon2::password_hash::PasswordHasher as _;
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2i, argon2::Version::V0x13, params);
    hasher
        .hash_password_with_salt(password.as_bytes(), b"some salt here")
        .unwrap()
        .to_string()
}

#[tokio::test]
async fn a_changed_file_forgets() {
    let (passwords, now) = (Passwords::default(), Instant::now());
    let before = file(&[("ada", "x")]);
    let right = question(&passwords, &before, "ada", "x");
    assert_eq!(passwords.find(&right, now).await, Finding::Right);
    // The same password, hashed anew.
    let after = file(&[("ada", "x")]);
    assert!(!passwords.is_known(&question(&passwords, &after, "ada", "x"), now));
    // Only somebody else is left.
    let gone = file(&[("ben", "x")]);
    assert_eq!(
        passwords
            .find(&question(&passwords, &gone, "ada", "x"), now)
            .await,
        Finding::Wrong
    );
    assert!(
        passwords
            .question(&file(&[]), right.credentials, client(0))
            .is_none()
    );
}

#[test]
fn who_is_unknown_is_checked_against_the_same_hash_every_time() {
    let passwords = Passwords::default();
    let file = file(&[("ada", "x"), ("ben", "y"), ("cy", "z")]);
    let hash = |user: &str| question(&passwords, &file, user, "x").hash;
    assert_eq!(hash("eve"), hash("eve"));
    let others: Vec<_> = (0..64)
        .map(|number| hash(&format!("eve{number}")))
        .collect();
    assert!(file.users.values().all(|hash| others.contains(hash)));
}

#[tokio::test]
async fn equal_questions_are_checked_once_and_too_many_others_not_at_all() {
    let (passwords, file, now) = (Passwords::default(), file(&[("ada", "x")]), Instant::now());
    // Nobody's check runs meanwhile.
    let all = u32::try_from(passwords.threads.available_permits()).unwrap();
    let held = passwords.threads.acquire_many(all).await.unwrap();
    let wrong: Vec<Question> = (0..ASKED_MAX + 8)
        .map(|number| Question {
            by: client(u8::try_from(number).unwrap()),
            ..question(&passwords, &file, "ada", &number.to_string())
        })
        .collect();
    let (busy, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let each = async |question: &Question| match passwords.find(question, now).await {
        Finding::Busy => busy.fetch_add(1, Ordering::Relaxed),
        Finding::Right | Finding::Wrong => done.fetch_add(1, Ordering::Relaxed),
    };
    let many = wrong.iter().map(|question| Box::pin(each(question)));
    let same = (0..8).map(|_| Box::pin(each(&wrong[0])));
    let mut all: Vec<_> = many.collect();
    let mut same: Vec<_> = same.collect();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for one in all.iter_mut() {
        let _pending = one.as_mut().poll(&mut cx);
    }
    for one in same.iter_mut() {
        let _pending = one.as_mut().poll(&mut cx);
    }
    assert_eq!(busy.load(Ordering::Relaxed), 8);
    assert_eq!(passwords.lock().asked.len(), ASKED_MAX);
    drop(held);
    // Whoever asked first has left: another one finds out.
    drop(all.remove(0));
    for one in all.drain(..ASKED_MAX - 1) {
        one.await;
    }
    for one in same {
        one.await;
    }
    assert_eq!(done.load(Ordering::Relaxed), ASKED_MAX - 1 + 8);
    assert!(passwords.lock().asked.is_empty());
}

#[test]
fn what_is_remembered_has_a_limit() {
    let mut book = Book::default();
    let now = Instant::now();
    for number in 0..2 * RIGHT_MAX {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        book.make_room(now);
        book.right
            .insert(digest, now + Duration::from_millis(1 + number as u64));
    }
    assert_eq!(book.right.len(), RIGHT_MAX);
    // The latest are there.
    let mut latest = [0; 32];
    latest[..8].copy_from_slice(&(2 * RIGHT_MAX - 1).to_le_bytes());
    assert!(book.is_right(&latest, now));
    book.make_room(now + RIGHT_TIME);
    assert!(book.right.is_empty());
}

#[tokio::test]
async fn one_client_cannot_fill_the_line_before_others() {
    let (passwords, file, now) = (Passwords::default(), file(&[("ada", "x")]), Instant::now());
    let all = u32::try_from(passwords.threads.available_permits()).unwrap();
    let held = passwords.threads.acquire_many(all).await.unwrap();
    let asking = |client: IpAddr, password: &str| Question {
        by: network_of(client),
        ..question(&passwords, &file, "ada", password)
    };
    let guesser = |number: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number]);
    let guesses: Vec<_> = (0..u16::try_from(ASKED_EACH_MAX).unwrap())
        .map(|number| asking(guesser(number), &number.to_string()))
        .collect();
    let mut waiting: Vec<_> = guesses
        .iter()
        .map(|guess| Box::pin(passwords.find(guess, now)))
        .collect();
    for guess in &mut waiting {
        assert!(look_at(guess.as_mut()).await.is_pending());
    }
    let one_more = asking(guesser(99), "more");
    assert_eq!(passwords.find(&one_more, now).await, Finding::Busy);
    let somebody = asking(client(7), "x");
    let mut finding = Box::pin(passwords.find(&somebody, now));
    assert!(look_at(finding.as_mut()).await.is_pending());
    // Those before it in the line are polled no more, and would keep the threads.
    drop(waiting);
    drop(held);
    assert_eq!(finding.await, Finding::Right);
}

/// One look at a future.
async fn look_at<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

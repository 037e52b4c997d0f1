//! A process that is killed while it writes, again and again: a real one, of this same program.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::super::{Store, When};
use super::{content, key, names, store};

/// Names the folder to write to; without it, [`a_writer_that_waits_to_be_killed`] has nothing to do.
const FOLDER: &str = "ONEDOOR_TEST_KILLED_FOLDER";
const WRITER: &str = "storage::store::tests::killed::a_writer_that_waits_to_be_killed";
const ROUNDS: u64 = 12;
const OCTETS: usize = 100_000;

#[tokio::test]
async fn a_kill_at_any_moment_leaves_whole_objects_and_frees_the_lease() {
    let temporary = tempfile::tempdir().unwrap();
    let store = store(temporary.path());
    let (mut fence, mut number) = (0, 0);
    for round in 0..ROUNDS {
        let mut writer = start(temporary.path());
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut told = || {
            lines
                .by_ref()
                .map_while(Result::ok)
                .find_map(|line| said(&line))
        };
        let taken = told().expect("the writer says its fence");
        assert!(taken > fence, "{taken} after {fence}");
        fence = taken;
        for _ in 0..=round % 4 {
            number = told().expect("the writer says what it wrote");
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        while let Some(written) = told() {
            number = written;
        }
        let found = read(&store).await;
        assert!(
            found == number || found == number + 1,
            "{found} after {number}"
        );
        number = found;
        assert_eq!(names(&store, "").await, ["deep/count"]);
    }
    let lease = store.lease(&key("work"), Duration::from_secs(60)).await;
    assert_eq!(lease.unwrap().unwrap().fence(), fence + 1);
}

fn start(folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", WRITER, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn said(line: &str) -> Option<u64> {
    line.split_once("writer: ")?.1.parse().ok()
}

/// The number all of the object consists of.
async fn read(store: &Store) -> u64 {
    let bytes = content(store, "deep/count").await.unwrap();
    assert_eq!(bytes.len(), OCTETS);
    let number = bytes[..8].try_into().unwrap();
    assert!(bytes.chunks(8).all(|chunk| chunk == number));
    u64::from_be_bytes(number)
}

#[tokio::test]
async fn a_writer_that_waits_to_be_killed() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let store = store(Path::new(&folder));
    let lease = store.lease(&key("work"), Duration::from_secs(60)).await;
    let lease = lease.unwrap().expect("who had it was killed");
    println!("writer: {}", lease.fence());
    let name = key("deep/count");
    let (mut number, mut when) = match store.get(&name).await.unwrap() {
        Some(_) => (read(&store).await, When::Always),
        None => (0, When::Absent),
    };
    loop {
        number += 1;
        let bytes = number.to_be_bytes().repeat(OCTETS / 8);
        let version = store.put(&name, &bytes, &when, Some(&lease)).await.unwrap();
        when = When::Is(version);
        println!("writer: {number}");
    }
}

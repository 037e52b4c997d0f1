//! A new process takes over from a running one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Distant, Loop, ask, follower, is_alive, join, refused, site, streams};
use crate::lifecycle::Slow;
use crate::support::answer::{read_answer, send_get};
use crate::support::backend::Backend;
use crate::support::client::{roots, tls};
use crate::support::door::{Door, Home};
use crate::support::{PATIENCE, eventually, takes_less};

/// How long nobody may be answered.
const GAP_MAX: Duration = Duration::from_secs(1);
/// The most that a process may occupy that only waits for another.
const ATTENDANT_BYTES_MAX: u64 = 64 << 20;

#[test]
fn a_restart_refuses_nobody_and_moves_the_guests() {
    let backend = Backend::saying("here");
    let mut first = Door::up(&site("one.test", &backend));
    let second = join(&first, &follower("two.test", &backend));
    let third = join(&first, &follower("three.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let clients = Loop::begin_all(address, &roots, &["one.test", "two.test", "three.test"]);
    clients.more(200);
    let mut holders = vec![];
    takes_less(GAP_MAX, "the gap of a restart", || {
        clients.mark();
        holders.push(restart(&first));
        clients.more(400);
        println!("the measured gap of a restart: {:?}", clients.longest());
        clients.longest()
    });
    assert_ne!(holders[0].0, first.pid());
    assert!(first.ended().success(), "{}", first.said());
    let seen = clients.end();
    assert_eq!(seen.failures, Vec::<String>::new());
    let main = format!("MAINPID={}", holders[0].0);
    eventually("word to the manager", || first.told(&main).then_some(()));
    assert!(!first.told("STOPPING=1"));
    let next = holders.pop().unwrap();
    for guest in [&second, &third] {
        let served = format!("served by pid {} now", next.0);
        eventually("word to the guest", || {
            guest.home().read("out").contains(&served).then_some(())
        });
    }
    // The guests are guests as before.
    let mut second = second;
    second.signal(Signal::INT);
    assert!(second.ended().success());
    eventually("the end of the site", || {
        ask(address, &roots, "two.test").err()
    });
    assert_eq!(ask(address, &roots, "three.test").unwrap(), "here");
    assert_eq!(ask(address, &roots, "one.test").unwrap(), "here");
    // And the new one leaves with its door like any other.
    next.signal(Signal::TERM);
    next.ended();
    assert_eq!(ask(address, &roots, "three.test").unwrap(), "here");
    assert_eq!(third.health()["pid"], third.pid());
}

#[test]
fn without_a_manager_the_first_process_attends_whoever_serves() {
    let backend = Backend::saying("here");
    let mut first = unmanaged(&site("one.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let client = Loop::begin(address, &roots, "one.test");
    let (mut former, mut holders) = (first.pid(), vec![]);
    for round in 0..3 {
        let next = match round {
            // By the only number that a supervisor knows.
            2 => {
                first.signal(Signal::USR2);
                successor_of(&first, former)
            }
            _ => restart(&first),
        };
        assert_ne!(next.0, former);
        eventually("one process beside the attendant", || {
            (children(first.pid()) == [next.0]).then_some(())
        });
        assert_eq!(children(next.0), [] as [u32; 0]);
        former = next.0;
        holders.push(next);
    }
    client.more(20);
    assert_eq!(client.end().failures, Vec::<String>::new());
    let resident = first.resident();
    println!("the attendant occupies {} KiB", resident >> 10);
    assert!(resident < ATTENDANT_BYTES_MAX, "{resident}");
    // It holds neither the lock nor a listening socket.
    for link in fs::read_dir(format!("/proc/{}/fd", first.pid())).unwrap() {
        let target = fs::read_link(link.unwrap().path()).unwrap_or_default();
        assert!(!target.ends_with("holder.lock"), "{target:?}");
    }
    first
        .home()
        .write("proxy.toml", &site("other.test", &backend));
    first.signal(Signal::HUP);
    eventually("the reload", || ask(address, &roots, "other.test").ok());
    first.signal(Signal::TERM);
    assert_eq!(first.ended().code(), Some(0), "{}", first.said());
    assert!(holders.iter().all(|holder| !is_alive(holder.0)));
    assert!(ask(address, &roots, "other.test").is_err());
    assert!(!first.home().control().join("control.sock").exists());
}

#[test]
fn the_attendant_ends_as_the_one_that_it_attends() {
    let backend = Backend::saying("here");
    let mut first = unmanaged(&site("one.test", &backend));
    let next = restart(&first);
    eventually("the attendant", || {
        (children(first.pid()) == [next.0]).then_some(())
    });
    next.signal(Signal::KILL);
    assert_eq!(first.ended().code(), Some(137));
}

#[test]
fn a_word_to_the_first_process_while_it_drains_is_for_the_new_one() {
    let backend = streams::echo();
    let mut first = unmanaged(&site("one.test", &backend).replace("5s", "1h"));
    let mut stream = streams::open(&first, "one.test");
    let next = restart(&first);
    first.signal(Signal::TERM);
    next.ended();
    assert!(is_alive(first.pid()), "it has something to finish");
    streams::say(&mut stream, "still here");
    drop(stream);
    assert_eq!(first.ended().code(), Some(0), "{}", first.said());
}

#[test]
fn an_interrupt_of_the_whole_terminal_is_heard_once() {
    let slow = Slow::new();
    let home = Home::new(&site("one.test", &slow.backend).replace("5s", "1h"));
    let mut command = command_with(home.command(), "up");
    command.process_group(0);
    let mut first = Door::up_unmanaged(home, command);
    let next = restart(&first);
    let mut stream = tls(&first, "one.test", &[]);
    send_get(&mut stream, "one.test", "/");
    slow.arrived();
    let group = Pid::from_raw(i32::try_from(first.pid()).unwrap()).unwrap();
    kill_process_group(group, Signal::INT).unwrap();
    eventually("the drain", || {
        (first.try_health()?["status"] == "draining").then_some(())
    });
    slow.answer();
    assert_eq!(read_answer(&mut stream).unwrap().body, "slow");
    assert_eq!(first.ended().code(), Some(0), "{}", first.said());
    next.ended();
}

#[test]
fn a_restart_with_a_broken_file_changes_nothing() {
    let backend = Backend::saying("here");
    let first = Door::up(&site("one.test", &backend));
    let (address, roots) = (first.tls(), roots(&first));
    let good = fs::read_to_string(first.home().path().join("proxy.toml")).unwrap();
    first
        .home()
        .write("proxy.toml", "[sites]\n\"one.test\" = { too = 1 }\n");
    let (code, err) = refused(first.home(), &["restart"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("error[not-restarted]"), "{err}");
    assert!(err.contains("the running process goes on"), "{err}");
    assert!(first.said().contains("too"), "{}", first.said());
    assert_eq!(ask(address, &roots, "one.test").unwrap(), "here");
    assert_eq!(first.health()["pid"], first.pid());
    // Mended, it works.
    first.home().write("proxy.toml", &good);
    let next = restart(&first);
    assert_eq!(ask(address, &roots, "one.test").unwrap(), "here");
    drop(next);
}

#[test]
fn a_restart_with_a_broken_program_changes_nothing() {
    let backend = Backend::saying("here");
    let home = Home::new(&site("one.test", &backend));
    let program = home.path().join("onedoor");
    fs::copy(env!("CARGO_BIN_EXE_onedoor"), &program).unwrap();
    let command = home.command_of("env", &["-u", "NOTIFY_SOCKET"], &program);
    let mut first = Door::up_unmanaged(home, command_with(command, "up"));
    let (address, roots) = (first.tls(), roots(&first));
    let good = first.home().path().join("good");
    fs::rename(&program, &good).unwrap();
    replace(&program, b"no program at all");
    refused_at_once(&first, "");
    replace(&program, b"#!/bin/sh\nexit 3\n");
    refused_at_once(&first, "exit status: 3");
    assert_eq!(first.health()["pid"], first.pid());
    replace(&program, &fs::read(&good).unwrap());
    let next = restart(&first);
    // The same where the first process starts it for the new one.
    replace(&program, b"#!/bin/sh\nexit 3\n");
    refused_at_once(&first, "");
    replace(&program, b"no program at all");
    refused_at_once(&first, "");
    assert_eq!(first.health()["pid"], next.0);
    assert_eq!(ask(address, &roots, "one.test").unwrap(), "here");
    first.signal(Signal::INT);
    assert_eq!(first.ended().code(), Some(0), "{}", first.said());
    next.ended();
}

#[test]
fn a_door_that_a_command_holds_is_not_restarted() {
    let backend = Backend::saying("here");
    let home = Home::new(&site("one.test", &backend));
    let arguments = [
        "run",
        "--config",
        "proxy.toml",
        "--wait",
        "0",
        "web",
        "--",
        "sleep",
        "60",
    ];
    let mut command = home.command();
    command.args(arguments);
    let holder = Door::up_unmanaged(home, command);
    let (code, err) = refused(holder.home(), &["restart"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("`onedoor run` holds the door"), "{err}");
}

/// `onedoor restart` beside a door. The new process, which is no child of ours.
#[track_caller]
pub(super) fn restart(door: &Door) -> Distant {
    let (code, out, err) = door.home().run(&["restart"]);
    assert_eq!(code, 0, "{err}\n{}", door.said());
    let health = door.health();
    let pid = u32::try_from(health["pid"].as_u64().unwrap()).unwrap();
    assert!(out.contains(&format!("pid {pid} serves now")), "{out}");
    Distant(pid)
}

/// The holder once it is another one.
#[track_caller]
fn successor_of(door: &Door, former: u32) -> Distant {
    eventually("another holder", || {
        let pid = u32::try_from(door.try_health()?["pid"].as_u64()?).ok()?;
        (pid != former).then(|| Distant(pid))
    })
}

#[track_caller]
fn refused_at_once(door: &Door, word: &str) {
    let begun = Instant::now();
    let (code, err) = refused(door.home(), &["restart"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("error[not-restarted]"), "{err}");
    assert!(err.contains(word), "{err}");
    assert!(begun.elapsed() < PATIENCE, "{err}");
}

fn unmanaged(config: &str) -> Door {
    let home = Home::new(config);
    let command = command_with(home.command(), "up");
    Door::up_unmanaged(home, command)
}

fn command_with(mut command: std::process::Command, verb: &str) -> std::process::Command {
    command.arg(verb);
    command
}

/// Another program under the name of one that runs.
fn replace(program: &Path, contents: &[u8]) {
    let fresh = program.with_extension("fresh");
    fs::write(&fresh, contents).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(fresh, program).unwrap();
}

/// The living children of a process.
fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut found: Vec<u32> = numbers
        .filter(|number| parent_of(*number) == Some(pid) && is_alive(*number))
        .collect();
    found.sort_unstable();
    found
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_name, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

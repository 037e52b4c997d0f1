//! The same on a real Redis, which is also emptied under way.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::starts::{all_at_once, swift};
use super::{Fleet, Ground, PATIENCE, STEP};
use crate::storage::store::Store;
use crate::storage::store::redis::{Place, Reached, Redis};

/// A server of its own, on a socket in a folder; gone when dropped.
struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let child = serve(folder.path());
        let server = Self { child, folder };
        server.until_it_answers().await;
        server
    }

    fn ground(&self) -> Ground {
        let path = self.folder.path().join("socket");
        Ground::Served(Box::new(move || connect(&path)))
    }

    async fn until_it_answers(&self) {
        let store = connect(&self.folder.path().join("socket"));
        let answering = async {
            while store.list("").await.is_err() {
                tokio::time::sleep(STEP).await;
            }
        };
        tokio::time::timeout(PATIENCE, answering).await.unwrap();
    }

    /// It keeps nothing on disk.
    async fn empty(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = serve(self.folder.path());
        self.until_it_answers().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn serve(folder: &Path) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .args(["--unixsocket", &folder.join("socket").display().to_string()])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("no redis-server: run `tests/run --prepare`")
}

fn connect(socket: &Path) -> Store {
    let place = Place {
        reached: Reached::Socket(socket.into()),
        database: 0,
        prefix: "fleet".into(),
        user: None,
        password: None,
        name: "redis+unix".into(),
    };
    Store::on(Redis::at(place).unwrap())
}

#[tokio::test]
async fn twenty_replicas_starting_at_once_on_redis_cost_one_issuance_also_if_it_is_emptied_then() {
    let mut server = Server::start().await;
    let fleet = Fleet::on(server.ground());
    swift(&fleet);
    let replicas = all_at_once(&fleet).await;
    assert!(fleet.was_answered_elsewhere());
    println!("20 replicas starting at once on Redis cost 1 issuance");
    server.empty().await;
    let store = connect(&server.folder.path().join("socket"));
    let filled = async {
        while store.list("certs/a.test/v").await.unwrap().is_empty() {
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::time::timeout(PATIENCE, filled).await.unwrap();
    let again = fleet.start(&super::Host::new(), "a.test").await;
    again.until_it_serves("a.test", 1).await;
    assert_eq!(fleet.bill(), (1, 0));
    assert!(replicas.iter().all(|it| it.generation("a.test") == Some(1)));
}

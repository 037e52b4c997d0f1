//! A CA that is broken, in the way, or of an earlier version.

use std::path::Path;

use super::*;

#[tokio::test]
async fn the_file_for_people_is_mended() {
    let place = Place::new();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    for spoil in [&|| fs::remove_file(place.path(ROOT)).unwrap(), &|| {
        replace(&place.path(ROOT), "nonsense") as ()
    }] as [&dyn Fn(); 2]
    {
        spoil();
        let again = place.safe().open(&wish(&[]), noon()).await.unwrap();
        assert!(again.is_same(&ca));
        assert_eq!(fs::read_to_string(place.path(ROOT)).unwrap(), ca.root().pem);
    }
}

#[tokio::test]
async fn a_fleet_does_not_write_over_the_own_ca_of_a_machine() {
    let place = Place::new();
    let own = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let (store, faults) = Memory::new();
    faults.share();
    let shared = place.safe_in(store);
    let common = shared.open(&wish(&[]), noon()).await.unwrap();
    assert_eq!(
        fs::read_to_string(place.path(ROOT)).unwrap(),
        common.root().pem
    );
    let folders = fs::read_dir(place.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let aside = folders.filter(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("local-ca-")
    });
    let aside: Vec<PathBuf> = aside.collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    let kept = fs::read_to_string(aside[0].join("root.pem")).unwrap();
    assert_eq!(kept, own.root().pem);
    assert!(aside[0].join("authority.json").exists());
}

#[tokio::test]
async fn a_ca_that_is_broken_for_a_moment_stays_where_it_is() {
    let place = Place::new();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let text = fs::read_to_string(place.path(AUTHORITY)).unwrap();
    let before = files(&place);
    replace(&place.path(AUTHORITY), &text[..text.len() / 2]);
    fs::remove_file(place.path(ROOT)).unwrap();
    place.safe().show(&ca.root().pem).await;
    replace(&place.path(AUTHORITY), &text);
    place.safe().show(&ca.root().pem).await;
    assert_eq!(files(&place), before);
    fs::remove_dir_all(place.path("local-ca")).unwrap();
    place.safe().show(&ca.root().pem).await;
    assert!(!place.path(ROOT).exists(), "a root is no CA");
}

#[tokio::test]
async fn a_ca_of_earlier_versions_with_a_remark_in_it_stays_where_it_is() {
    let place = Place::new();
    let authority = place.earlier();
    let remark = b"# of Andr\xe9\n";
    let root = [remark, authority.pem.as_bytes()].concat();
    Storage::at(place.path("")).write(ROOT, &root).unwrap();
    let before = files(&place);
    place.safe().open(&wish(&[]), noon()).await.unwrap();
    assert_eq!(files(&place), before);
    assert_eq!(fs::read(place.path(ROOT)).unwrap(), root);
}

/// All that lies below the place.
fn files(place: &Place) -> Vec<PathBuf> {
    let mut folders = vec![place.path("")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_ca_of_earlier_versions_goes_on_and_is_remarked_on() {
    let place = Place::new();
    let authority = place.earlier();
    let before = fs::read_to_string(place.path(ROOT)).unwrap();
    let ca = place.safe().open(&wish(&[]), noon()).await.unwrap();
    assert_eq!(ca.remarks().len(), 1, "{:?}", ca.remarks());
    assert!(ca.remarks()[0].contains("onedoor certs new-ca"));
    for host in ["a.test", "shop.example.com", "8.8.8.8"] {
        let certified = ca.certified(&name(host), noon()).unwrap();
        assert_eq!(certified.cert.len(), 1);
        shake_hands(certified, &authority.der, host, noon()).unwrap();
    }
    assert_eq!(fs::read_to_string(place.path(ROOT)).unwrap(), before);
    assert!(!place.path(AUTHORITY).exists());
    let made = Place::new().safe().open(&wish(&[]), noon()).await.unwrap();
    assert!(made.remarks().is_empty());
}

#[tokio::test]
async fn a_broken_ca_is_named_and_never_replaced() {
    let place = Place::new();
    let good = place.safe().open(&wish(&[]), noon()).await.unwrap();
    let whole = place.path(AUTHORITY);
    let text = fs::read_to_string(&whole).unwrap();
    let other = Place::new();
    other.safe().open(&wish(&[]), noon()).await.unwrap();
    let other = fs::read_to_string(other.path(AUTHORITY)).unwrap();
    let stranger = serde_json::from_str::<serde_json::Value>(&other).unwrap();
    let exchanged = |field: &str| {
        let mut parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        parsed[field] = stranger[field].clone();
        replace(&whole, &parsed.to_string());
    };
    let refused = async |expected: fn(&Error) -> bool| {
        let error = place.safe().open(&wish(&[]), noon()).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with(whole.to_str().unwrap()), "{message}");
        assert!(
            message.contains("backup") && message.contains("new-ca"),
            "{message}"
        );
    };
    replace(&whole, "nonsense");
    refused(|error| matches!(error, Error::Broken(_))).await;
    exchanged("root");
    refused(|error| matches!(error, Error::Broken(_))).await;
    exchanged("intermediate_key");
    refused(|error| matches!(error, Error::KeyMismatch(_))).await;
    fs::remove_file(&whole).unwrap();
    refused(|error| matches!(error, Error::Missing(_))).await;
    replace(&whole, &text);
    let again = place.safe().open(&wish(&[]), noon()).await.unwrap();
    assert!(again.is_same(&good));
    let late = place
        .safe()
        .open(&wish(&[]), noon() + CA_LIFE + days(1))
        .await;
    assert!(matches!(late, Err(Error::Expired(_))), "{late:?}");
}

#[tokio::test]
async fn a_broken_ca_of_earlier_versions_is_named_and_never_replaced() {
    let place = Place::new();
    let authority = place.earlier();
    let (root, root_key) = (place.path(ROOT), place.path(ROOT_KEY));
    let other = Authority::new().leaf(&["a.test"], noon()..noon() + days(1));
    let refused = async |expected: fn(&Error) -> bool, file: &Path| {
        let error = place.safe().open(&wish(&[]), noon()).await.unwrap_err();
        assert!(expected(&error), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with(file.to_str().unwrap()), "{message}");
    };
    for broken in ["nonsense", &other.pem] {
        replace(&root, broken);
        refused(|error| matches!(error, Error::Broken(_)), &root).await;
    }
    fs::remove_file(&root).unwrap();
    refused(|error| matches!(error, Error::Missing(_)), &root).await;
    replace(&root, &authority.pem);
    replace(&root_key, "nonsense");
    refused(|error| matches!(error, Error::Broken(_)), &root_key).await;
    replace(&root_key, &other.key_pem);
    refused(|error| matches!(error, Error::KeyMismatch(_)), &root_key).await;
    fs::remove_file(&root_key).unwrap();
    refused(|error| matches!(error, Error::Missing(_)), &root_key).await;
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_makes_nothing() {
    let place = Place::new();
    let (store, faults) = Memory::new();
    faults.crash();
    let safe = place.safe_in(store);
    let error = safe.open(&wish(&[]), noon()).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    let (store, _faults) = faults.process();
    assert_eq!(store.get(&key(AUTHORITY).unwrap()).await.unwrap(), None);
    let unreadable = When::Absent;
    store
        .put(&key(AUTHORITY).unwrap(), b"{}", &unreadable, None)
        .await
        .unwrap();
    let error = place.safe_in(store).look(noon()).await.unwrap_err();
    assert_eq!(
        error.to_string().split(' ').take(2).collect::<Vec<_>>(),
        ["the", "store/local-ca/authority.json"]
    );
}

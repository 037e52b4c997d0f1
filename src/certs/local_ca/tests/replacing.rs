//! A new CA in place of the old.

use super::*;

#[tokio::test]
async fn a_new_ca_takes_the_place_of_the_old_which_is_kept_aside() {
    let place = Place::new();
    let safe = place.safe();
    let none = safe.replace(&wish(&[]), noon()).await.unwrap();
    assert_eq!(none.aside, None);
    let old = fs::read_to_string(place.path(AUTHORITY)).unwrap();
    let wider = wish(&["lan.example.com"]);
    let replaced = safe.replace(&wider, noon()).await.unwrap();
    assert!(!replaced.ca.is_same(&none.ca));
    assert!(accepts(&replaced.ca, "x.lan.example.com", noon()));
    let found = safe.look(noon()).await.unwrap().unwrap();
    assert!(found.is_same(&replaced.ca));
    assert_eq!(
        fs::read_to_string(place.path(ROOT)).unwrap(),
        found.root().pem
    );
    let aside = PathBuf::from(replaced.aside.unwrap());
    assert_eq!(
        fs::read_to_string(aside.join("authority.json")).unwrap(),
        old
    );
    assert_eq!(
        fs::read_to_string(aside.join("root.pem")).unwrap(),
        none.ca.root().pem
    );
}

#[tokio::test]
async fn a_ca_of_earlier_versions_or_a_broken_one_is_replaced_on_request() {
    let place = Place::new();
    let authority = place.earlier();
    let replaced = place.safe().replace(&wish(&[]), noon()).await.unwrap();
    let aside = PathBuf::from(replaced.aside.unwrap());
    assert_eq!(
        fs::read_to_string(aside.join("root.pem")).unwrap(),
        authority.pem
    );
    assert_eq!(
        fs::read_to_string(aside.join("root.key")).unwrap(),
        authority.key_pem()
    );
    assert!(!place.path(ROOT_KEY).exists());
    assert_eq!(
        fs::read_to_string(place.path(ROOT)).unwrap(),
        replaced.ca.root().pem
    );
    replace(&place.path(AUTHORITY), "nonsense");
    let mended = place.safe().replace(&wish(&[]), noon()).await.unwrap();
    let found = place.safe().look(noon()).await.unwrap().unwrap();
    assert!(found.is_same(&mended.ca) && !found.is_same(&replaced.ca));
}

#[tokio::test]
async fn of_two_who_replace_the_ca_at_once_one_wins() {
    let place = Place::new();
    let (store, _faults) = Memory::new();
    let safes = [place.safe_in(store.clone()), place.safe_in(store)];
    safes[0].open(&wish(&[]), noon()).await.unwrap();
    let new = wish(&[]);
    let (one, other) = tokio::join!(
        safes[0].replace(&new, noon()),
        safes[1].replace(&new, noon())
    );
    let found = safes[0].look(noon()).await.unwrap().unwrap();
    let (won, lost) = if one.is_ok() {
        (one, other)
    } else {
        (other, one)
    };
    assert!(found.is_same(&won.unwrap().ca));
    assert!(matches!(lost, Err(Error::Replaced)), "{lost:?}");
}

#[tokio::test]
async fn a_crash_while_a_ca_is_replaced_leaves_the_old_or_the_new() {
    for (nth, moment) in (1..=5).flat_map(|nth| [(nth, Moment::Before), (nth, Moment::After)]) {
        let place = Place::new();
        let (store, faults) = Memory::new();
        let old = Authority::new();
        for (name, pem) in [(ROOT, old.pem.clone()), (ROOT_KEY, old.key_pem())] {
            let (name, when) = (key(name).unwrap(), When::Absent);
            store.put(&name, pem.as_bytes(), &when, None).await.unwrap();
        }
        faults.crash_at(nth, moment);
        let crashed = place.safe_in(store).replace(&wish(&[]), noon()).await;
        assert!(crashed.is_err(), "{nth} {moment:?}");
        let (store, _faults) = faults.process();
        let safe = place.safe_in(store);
        let found = safe.look(noon()).await.unwrap().unwrap();
        let is_old = found.root().pem == old.pem;
        assert_eq!(is_old, found.scope().is_everything(), "{nth} {moment:?}");
        safe.replace(&wish(&[]), noon()).await.unwrap();
    }
}

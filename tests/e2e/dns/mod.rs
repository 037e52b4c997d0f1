//! Challenges in DNS, against a real server that takes updates by keys.

mod providers;

use std::net::Ipv4Addr;
use std::time::Duration;

use onedoor::certs::dns::rfc2136::{Algorithm, Rfc2136, Rfc2136Options};
use onedoor::certs::dns::secret::Secret;
use onedoor::certs::dns::wait::until_visible;
use onedoor::certs::dns::{Publisher, challenge_name};
use onedoor::clock::Clock;

use crate::support::PATIENCE;
use crate::support::absent::nobody;
use crate::support::dns::Knot;

const NS: &str = "@ NS ns1\nns1 A 127.0.0.1\n";
/// Enough for a second look, should the first be slow.
const TWO_LOOKS: Duration = Duration::from_secs(3);
const NAME: &str = "_acme-challenge.www.a.test.";

fn updates(options: &Rfc2136Options) -> Publisher {
    Publisher::Rfc2136(Rfc2136::new(options, Clock::system()).unwrap())
}

/// The words of a failure to publish.
async fn refusal(knot: &Knot, options: &Rfc2136Options, name: &str) -> String {
    let published = updates(options).publish(&knot.resolver(), name, "v").await;
    published.unwrap_err().to_string()
}

#[tokio::test]
async fn two_values_stand_at_one_name_and_leave_one_by_one() {
    let knot = Knot::serving(&[("a.test", NS)]);
    let (resolver, clock) = (knot.resolver(), Clock::system());
    let publisher = updates(&knot.key(Algorithm::HmacSha256));
    let name = challenge_name("*.a.test");
    let one = publisher.publish(&resolver, &name, "one").await.unwrap();
    let two = publisher.publish(&resolver, &name, "two").await.unwrap();
    for published in [&one, &two] {
        until_visible(
            &resolver,
            &clock,
            published.record(),
            published.value(),
            PATIENCE,
        )
        .await
        .unwrap();
    }
    assert_eq!(knot.txt(&name), ["one", "two"]);
    publisher.publish(&resolver, &name, "two").await.unwrap();
    assert_eq!(knot.txt(&name), ["one", "two"]);

    publisher.withdraw(&one).await.unwrap();
    assert_eq!(knot.txt(&name), ["two"]);
    publisher.withdraw(&one).await.unwrap();
    publisher.withdraw(&two).await.unwrap();
    assert!(knot.txt(&name).is_empty());
}

#[tokio::test]
async fn all_algorithms_and_a_given_zone_work() {
    let knot = Knot::serving(&[("a.test", NS)]);
    for algorithm in [
        Algorithm::HmacSha256,
        Algorithm::HmacSha384,
        Algorithm::HmacSha512,
    ] {
        let options = Rfc2136Options {
            zone: Some("a.test".into()),
            ..knot.key(algorithm)
        };
        let publisher = updates(&options);
        let resolver = knot.resolver();
        let published = publisher.publish(&resolver, NAME, "v").await.unwrap();
        assert_eq!(knot.txt(NAME), ["v"]);
        publisher.withdraw(&published).await.unwrap();
        assert!(knot.txt(NAME).is_empty());
    }
}

#[tokio::test]
async fn refusals_say_who_refused_what_and_how_to_mend_it() {
    let knot = Knot::serving(&[("a.test", NS)]);
    let good = knot.key(Algorithm::HmacSha256);
    let server = knot.address;

    let secret = Secret::new("d3Jvbmc=");
    let wrong = Rfc2136Options {
        secret,
        ..good.clone()
    };
    assert_eq!(
        refusal(&knot, &wrong, NAME).await,
        format!(
            "`{server}` would not change TXT `{NAME}` in zone `a.test.` and answered `Not authorized` (BADSIG): it has another secret for this key: correct `secret`"
        )
    );
    let key = "stranger".into();
    let unknown = Rfc2136Options {
        key,
        ..good.clone()
    };
    let said = refusal(&knot, &unknown, NAME).await;
    assert!(said.contains("(BADKEY): it has no such key"), "{said}");

    assert_eq!(
        refusal(&knot, &good, "_acme-challenge.b.test").await,
        format!(
            "resolver `{server}` was asked for CNAME `_acme-challenge.b.test.`: it answered `Query Refused`: check what this machine resolves names by"
        )
    );
    let zone = Some("test".into());
    let wide = Rfc2136Options {
        zone,
        ..good.clone()
    };
    let said = refusal(&knot, &wide, NAME).await;
    assert!(
        said.contains("in zone `test.` and answered `Not authorized`"),
        "{said}"
    );

    let silent = Rfc2136Options {
        server: nobody().to_string(),
        ..good
    };
    let said = refusal(&knot, &silent, NAME).await;
    assert!(
        said.contains("no answer: ") && said.contains("refused"),
        "{said}"
    );
}

#[tokio::test]
async fn a_delegated_name_is_published_where_it_leads() {
    let chain = "_acme-challenge.www CNAME hop\nhop CNAME www.b.test.\n";
    let circle = "_acme-challenge.round CNAME back\nback CNAME _acme-challenge.round\n";
    let knot = Knot::serving(&[("a.test", &format!("{NS}{chain}{circle}")), ("b.test", NS)]);
    let resolver = knot.resolver();
    let publisher = updates(&knot.key(Algorithm::HmacSha512));
    let published = publisher.publish(&resolver, NAME, "v").await.unwrap();
    assert_eq!(
        (published.name(), published.record()),
        (NAME, "www.b.test.")
    );
    assert_eq!(knot.txt("www.b.test"), ["v"]);
    until_visible(
        &resolver,
        &Clock::system(),
        published.record(),
        "v",
        PATIENCE,
    )
    .await
    .unwrap();

    let name = challenge_name("round.a.test");
    let error = publisher.publish(&resolver, &name, "v").await.unwrap_err();
    assert!(error.to_string().contains("in a circle"), "{error}");
    assert!(error.is_lasting());
}

#[tokio::test]
async fn every_name_server_must_show_the_value() {
    let both = format!("{NS}@ NS ns2\nns2 A 127.0.0.2\n");
    let zones = [("a.test", both.as_str())];
    let first = Knot::serving(&zones);
    let second = first.beside(Ipv4Addr::new(127, 0, 0, 2), &zones);
    let (resolver, clock) = (first.resolver(), Clock::system());
    let publish = async |knot: &Knot, value| {
        updates(&knot.key(Algorithm::HmacSha256))
            .publish(&resolver, NAME, value)
            .await
            .unwrap()
    };
    publish(&first, "v").await;
    publish(&second, "other").await;
    let error = until_visible(&resolver, &clock, NAME, "v", TWO_LOOKS)
        .await
        .unwrap_err();
    let (said, address) = (error.to_string(), second.address);
    let expected = format!("`ns2.a.test.` ({address}) has only \"other\"");
    assert!(said.contains(&expected) && !said.contains("ns1"), "{said}");
    assert!(!error.is_lasting());

    let waiting = until_visible(&resolver, &clock, NAME, "v", PATIENCE);
    let (seen, _published) = tokio::join!(waiting, publish(&second, "v"));
    seen.unwrap();

    drop(second);
    let error = until_visible(&resolver, &clock, NAME, "v", TWO_LOOKS).await;
    let said = error.unwrap_err().to_string();
    let expected = format!("`ns2.a.test.` ({address}) gave no answer");
    assert!(said.contains(&expected) && !said.contains("ns1"), "{said}");
}

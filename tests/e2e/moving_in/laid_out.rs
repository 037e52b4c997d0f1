//! Folders and files laid out as the tools' documentation says.

use super::layouts::{Goods, NAME};
use super::{ca, home, import, moves_in};

#[test]
fn from_traefik_all_is_taken_along_and_nothing_is_ordered() {
    let ca = ca();
    let goods = Goods::of(&ca);
    moves_in(&ca, &goods.traefik(), &goods.left(true), &[]);
}

#[test]
fn from_acme_sh_all_is_taken_along_and_nothing_is_ordered() {
    let ca = ca();
    let goods = Goods::of(&ca);
    moves_in(&ca, &goods.acme_sh(), &goods.left(true), &[]);
}

#[test]
fn from_lego_5_all_is_taken_along_and_nothing_is_ordered() {
    let ca = ca();
    let goods = Goods::of(&ca);
    moves_in(&ca, &goods.lego_5(), &goods.left(true), &[]);
}

#[test]
fn from_companion_proxy_manager_and_kubernetes_the_same_certificate_is_taken_once() {
    let ca = ca();
    let goods = Goods::of(&ca);
    let places = [
        (goods.companion(), true),
        (goods.kubernetes(), false),
        (goods.kubernetes_yaml(), false),
        (goods.mounted_secret(), false),
        (goods.proxy_manager(), false),
    ];
    for (place, with_account) in &places {
        let home = home(&ca, &[NAME]);
        let told = import(&home, place, &[]);
        assert_eq!(told["sums"]["taken"], 1, "{told}");
        let url = with_account.then(|| goods.url.clone());
        assert_eq!(super::account(&home, &ca), url, "{told}");
    }
    let first = &places[0].0;
    moves_in(&ca, first, &goods.left(true), &[]);
}

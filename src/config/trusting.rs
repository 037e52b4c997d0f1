//! `[trust]`: who is believed about the client behind them.

use super::Trust;
use super::keys;
use super::network::Networks;
use super::problems::Problems;
use super::reader::Table;

impl Trust {
    pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Self {
        table.check_keys(&keys::TRUST, problems);
        let mut networks = |key: &str| {
            let item = table.get(key)?;
            if item.as_list().is_some_and(|list| list.is_empty()) {
                return None;
            }
            Networks::read(&item, problems)
        };
        Self {
            proxies: networks("proxies").unwrap_or_default(),
            proxy_protocol: networks("proxy_protocol").unwrap_or_default(),
        }
    }
}

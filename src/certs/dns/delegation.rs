//! Follows the CNAME of a challenge's name to where its TXT records live: many zones hand just that name to another.

use hickory_proto::rr::{Name, RData, RecordType};

use super::error::{DelegationFault, DnsError};
use super::resolver::Resolver;

/// How many CNAMEs a chain may have.
const STEPS_MAX: usize = 8;

/// The end of the chain that begins at `name`: mostly `name` itself.
pub(super) async fn follow(resolver: &Resolver, name: &Name) -> Result<Name, DnsError> {
    let mut chain = vec![name.clone()];
    loop {
        let here = &chain[chain.len() - 1];
        let answer = resolver.look_up(here, RecordType::CNAME).await?;
        let target = answer.answers.iter().find_map(|record| {
            let RData::CNAME(target) = &record.data else {
                return None;
            };
            (record.name == *here).then(|| target.0.clone())
        });
        let Some(target) = target else {
            return Ok(here.clone());
        };
        if let Some(fault) = fault(&chain, &target) {
            return Err(DnsError::Delegation {
                name: name.to_ascii(),
                fault,
            });
        }
        chain.push(target);
    }
}

fn fault(chain: &[Name], target: &Name) -> Option<DelegationFault> {
    if chain.contains(target) {
        Some(DelegationFault::Loop {
            at: target.to_ascii(),
        })
    } else if chain.len() > STEPS_MAX {
        Some(DelegationFault::TooLong { steps: STEPS_MAX })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_and_endless_chains_are_noticed() {
        let name = |number: usize| Name::from_ascii(format!("n{number}.test.")).unwrap();
        let chain: Vec<Name> = (0..=STEPS_MAX).map(name).collect();
        assert!(fault(&chain[..STEPS_MAX], &name(99)).is_none());
        assert!(matches!(
            fault(&chain, &name(99)),
            Some(DelegationFault::TooLong { .. })
        ));
        assert!(matches!(
            fault(&chain[..2], &Name::from_ascii("N0.test.").unwrap()),
            Some(DelegationFault::Loop { .. })
        ));
    }
}

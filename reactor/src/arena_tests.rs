//! Slots and tokens against a plain map.

use std::collections::BTreeMap;

use super::*;
use crate::random_tests::{steps, walks};
use crate::ready::Ready;
use crate::token::{GENERATION_BITS, Generation};

/// Tenants come and go; a token finds its own tenant and no other, by the 64 bits of an event.
#[test]
fn a_token_finds_its_own_tenant_and_no_other() {
    walks(40, |random| {
        let arena = Arena::new();
        let mut tenants = BTreeMap::new();
        let mut gone = Vec::new();
        for _ in steps(2000) {
            if random.below(2) == 0 && tenants.len() < 300 {
                let slot = Arena::allocate(arena.clone()).expect("there is room");
                let taken = tenants.insert(slot.token().encode(), slot);
                assert!(taken.is_none(), "two tenants of one slot");
            } else if let Some((&data, _)) = tenants.iter().nth(random.below(300) as usize) {
                tenants.remove(&data);
                gone.push(data);
            }
            assert_eq!(arena.tenants(), tenants.len());
            let asked = [tenants.keys().next().copied(), gone.last().copied()];
            for data in asked.into_iter().flatten() {
                let token = Token::decode(data);
                let slot = arena.slot(token.index).expect("it was given out");
                let delivered = slot.deliver(token.generation, Ready::READABLE, drop);
                assert_eq!(delivered, tenants.contains_key(&data));
                assert!(tenants.get(&data).is_none_or(|tenant| std::ptr::eq(&**tenant, slot)));
            }
        }
    });
}

#[test]
fn a_token_decodes_to_its_fields() {
    walks(20_000, |random| {
        let index = random.below(1 << 32) as u32;
        let generation = Generation::from_bits(random.below(1 << GENERATION_BITS));
        let token = Token { index, generation };
        assert_eq!(Token::decode(token.encode()), token);
        assert_ne!(token.encode(), Token::WAKE_UP);
    });
}

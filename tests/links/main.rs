//! Links that are not loopback: two hosts in network namespaces, and a link between them that is cut,
//! slow, lossy or out of order. The promises of a socket must hold there as well.
//!
//! Namespaces need root and `/dev/net/tun`. Where they are not to be had, the tests are not run; the
//! program says so, and counts them as ignored.
#![cfg(not(netpoll_loom))]

mod broken;
mod dial;
mod fixtures;
mod os;
mod slow;
mod v6only;

use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};
use netpoll_tests::watched;

use fixtures::Stage;

type Test = fn(&Stage);

/// Every test: its name, and its function, which gets a link of its own.
const TESTS: [(&str, Test); 22] = [
    ("a_partition_heals", broken::a_partition_heals),
    ("a_half_open_peer_is_found_out", broken::a_half_open_peer_is_found_out),
    ("a_reset_ends_waiting_operations", broken::a_reset_ends_waiting_operations),
    ("a_host_that_cannot_be_reached", broken::a_host_that_cannot_be_reached),
    ("a_connection_outlives_icmp", broken::a_connection_outlives_icmp),
    ("a_connect_into_a_partition_ends_in_time", broken::a_connect_into_a_partition_ends_in_time),
    ("a_connect_by_a_cookie_needs_no_peer", broken::a_connect_by_a_cookie_needs_no_peer),
    ("no_byte_is_lost_or_out_of_order", slow::no_byte_is_lost_or_out_of_order),
    ("a_thousand_wait_and_none_is_early", slow::a_thousand_wait_and_none_is_early),
    ("each_late_write_makes_progress", slow::each_late_write_makes_progress),
    ("a_slow_and_steady_peer_is_not_stalled", slow::a_slow_and_steady_peer_is_not_stalled),
    ("a_peer_that_takes_nothing_is_stalled", slow::a_peer_that_takes_nothing_is_stalled),
    ("both_families_as_in_go_or_as_the_system_says", v6only::both_families),
    (
        "a_black_hole_of_ipv6_costs_the_attempt_delay",
        dial::a_black_hole_of_ipv6_costs_the_attempt_delay,
    ),
    ("ipv6_that_works_leaves_ipv4_alone", dial::ipv6_that_works_leaves_ipv4_alone),
    ("a_family_without_a_route_costs_nothing", dial::a_family_without_a_route_costs_nothing),
    (
        "an_address_that_resets_is_followed_by_the_next",
        dial::an_address_that_resets_is_followed_by_the_next,
    ),
    (
        "a_dial_of_hosts_that_cannot_be_reached_lists_each",
        dial::a_dial_of_hosts_that_cannot_be_reached_lists_each,
    ),
    ("a_slow_link_has_one_winner", dial::a_slow_link_has_one_winner),
    (
        "a_user_timeout_ends_a_connection_into_a_partition",
        dial::a_user_timeout_ends_a_connection_into_a_partition,
    ),
    ("a_dialer_and_a_listener_do_fast_open", dial::a_dialer_and_a_listener_do_fast_open),
    ("a_name_has_64_addresses_and_another_none", dial::a_name_has_64_addresses_and_another_none),
];

fn main() {
    let arguments = Arguments::from_args();
    let missing = if arguments.list { None } else { fixtures::is_missing() };
    if let Some(missing) = &missing {
        println!("links: not run, as there are no network namespaces to be had (root?): {missing}");
    }
    netpoll_tests::fixtures::os::raise_descriptor_limit();
    let trial = |(name, test): (&'static str, Test)| {
        let on_stage = move || test(&Stage::new().expect("a stage"));
        // The watchdog names the test by its thread.
        let run = move || {
            let thread =
                thread::Builder::new().name(name.into()).spawn(move || watched(on_stage))?;
            thread.join().map_err(|_| Failed::from("it panicked"))
        };
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    };
    let trials = TESTS.into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

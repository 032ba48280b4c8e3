//! What every sequence of moves keeps, and the answers to those that are refused.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn spec(source: &str, target: &str) -> LocationSpec {
    let text = format!(r#"{{"source":{{"s3":{{"bucket":"{source}"}}}},"target":{{"s3":{{"bucket":"{target}"}}}}}}"#);
    serde_json::from_str(&text).expect("the registry's form")
}

fn run(name: &str) -> RunId {
    RunId::of_event("test", name)
}

fn registered() -> Location {
    Location::registered(spec("old", "new"), at(0))
}

#[test]
fn the_json_registrys_form_reads_and_a_cut_over_moves_only_what_it_should() {
    let text = r#"{"source":{"s3":{"bucket":"old"}},"target":{"s3":{"bucket":"new","prefix":"a/b"}}}"#;
    let spec: LocationSpec = serde_json::from_str(text).expect("the registry's form");
    let before = Location::registered(spec.clone(), at(0));
    let after = before.cut_over(&run("1"), at(9), Some(DAY));
    assert_eq!((&after.spec, after.active, after.epoch, &after.run), (&spec, Side::Target, 2, &Some(run("1"))));
    assert_eq!(after.retain_until, Some(at(9 + 24 * 60 * 60)));
    let places = (before.active_place().to_string(), after.active_place().to_string());
    assert_eq!(places, ("s3://old".into(), "s3://new/a/b".into()));
    let json = serde_json::to_string(&after).expect("serialises");
    assert_eq!(serde_json::from_str::<Location>(&json).expect("reads back"), after);
}

#[test]
fn a_record_of_before_there_were_epochs_is_the_first() {
    let text = r#"{"source":{"s3":{"bucket":"old"}},"target":{"s3":{"bucket":"new"}},"active":"source","since":"1970-01-01T00:00:00Z"}"#;
    assert_eq!(serde_json::from_str::<Location>(text).expect("reads"), registered());
}

#[test]
fn a_hold_ends_by_itself_by_its_run_and_by_the_cut_over() {
    let held = registered().held(&run("1"), at(60));
    assert_eq!(held.live_hold(at(59)).map(|hold| &hold.run), Some(&run("1")));
    assert_eq!(held.live_hold(at(60)), None);
    assert_eq!(held.released(&run("1")), registered());
    assert_eq!(held.released(&run("2")), held);
    assert_eq!(held.cut_over(&run("1"), at(9), None).hold, None);
    assert_eq!(held.epoch, 1, "readers stay where they are");
}

#[test]
fn a_roll_back_is_refused_where_there_is_no_whole_source_to_go_back_to() {
    let moved = registered().cut_over(&run("1"), at(10), Some(DAY));
    let over = at(10 + 24 * 60 * 60);
    let retired = |state| moved.retired(Retired::new(state, None, over)).expect("may be retired");
    let held = moved.held(&run("2"), at(100));
    for (location, now, force, expected) in [
        (&registered(), at(0), true, NotRollable::NothingCutOver),
        (&held, at(99), true, NotRollable::Held(Hold { run: run("2"), until: at(100) })),
        (&moved, over, false, NotRollable::NotRetained(over)),
        (&retired(RetiredState::Removing), over, true, NotRollable::Removed(over)),
        (&retired(RetiredState::Removed), over, true, NotRollable::Removed(over)),
    ] {
        assert_eq!(location.rolled_back(now, force), Err(expected));
    }
    for (location, now, force) in [
        (&moved, at(11), false),
        (&held, at(100), false),
        (&moved, over, true),
        (&retired(RetiredState::Deprecated), over, true),
        (&registered().cut_over(&run("1"), at(10), None), Timestamp::MAX, false),
    ] {
        let back = location.rolled_back(now, force).expect("rolls back");
        assert_eq!((back.active, back.epoch, back.run.clone()), (Side::Source, 3, None));
        assert_eq!((back.retain_until, back.retired.clone(), back.hold.clone()), (None, None, None));
        assert!(back.was_rolled_back(&run("1")) && !back.was_rolled_back(&run("2")));
    }
}

#[test]
fn a_source_is_retired_only_after_its_time_and_never_while_it_is_active() {
    let moved = registered().cut_over(&run("1"), at(10), Some(DAY));
    let over = at(10 + 24 * 60 * 60);
    let deprecate = |location: &Location, now| location.retired(Retired::new(RetiredState::Deprecated, None, now));
    assert_eq!(deprecate(&registered(), over), Err(NotRetirable::Active));
    assert_eq!(deprecate(&moved, at(11)), Err(NotRetirable::Retained(over)));
    let held = moved.held(&run("2"), Timestamp::MAX);
    assert!(matches!(deprecate(&held, over), Err(NotRetirable::Held(_))));
    let removed = moved.retired(Retired::new(RetiredState::Removed, Some(&run("3")), over)).expect("may be retired");
    assert_eq!(deprecate(&removed, Timestamp::MAX), Ok(removed.clone()), "it only goes forward");
}

#[test]
fn other_places_go_on_with_the_epoch_and_raise_it_where_readers_must_follow() {
    let anew = |location: &Location, source, target| location.registered_anew(spec(source, target), at(50));
    let moved = registered().cut_over(&run("1"), at(10), None);
    for (location, source, target, epoch) in [
        (&registered(), "old", "newer", 1),
        (&registered(), "older", "new", 2),
        (&moved, "new", "newer", 3),
        (&moved, "old", "newer", 3),
    ] {
        let next = anew(location, source, target);
        assert_eq!((next.epoch, next.active, next.retain_until), (epoch, Side::Source, None), "{source} {target}");
    }
}

/// Something that happens to a location.
#[derive(Debug, Clone)]
enum Move {
    Register(u8, u8),
    Hold(u8, i64),
    Release(u8),
    CutOver(u8, Option<u32>),
    RollBack(bool),
    Retire(RetiredState),
}

fn moves() -> impl Strategy<Value = Move> {
    let state = prop_oneof![Just(RetiredState::Deprecated), Just(RetiredState::Removing), Just(RetiredState::Removed),];
    prop_oneof![
        (0..3u8, 0..3u8).prop_map(|(source, target)| Move::Register(source, target)),
        (0..3u8, 0..200i64).prop_map(|(run, until)| Move::Hold(run, until)),
        (0..3u8).prop_map(Move::Release),
        (0..3u8, proptest::option::of(0..100u32)).prop_map(|(run, retain)| Move::CutOver(run, retain)),
        any::<bool>().prop_map(Move::RollBack),
        state.prop_map(Move::Retire),
    ]
}

fn moved(location: &Location, step: &Move, now: Timestamp) -> Location {
    let number = |number: u8| run(&number.to_string());
    match step {
        Move::Register(source, target) => {
            location.registered_anew(spec(&format!("s{source}"), &format!("t{target}")), now)
        }
        Move::Hold(run, until) => location.held(&number(*run), at(*until)),
        Move::Release(run) => location.released(&number(*run)),
        Move::CutOver(run, retain) => {
            location.cut_over(&number(*run), now, retain.map(|seconds| Duration::from_secs(seconds.into())))
        }
        Move::RollBack(force) => location.rolled_back(now, *force).unwrap_or_else(|_| location.clone()),
        Move::Retire(state) => location.retired(Retired::new(*state, None, now)).unwrap_or_else(|_| location.clone()),
    }
}

proptest! {
    #[test]
    fn the_epoch_never_falls_and_every_way_to_another_place_raises_it(steps in prop::collection::vec(moves(), 1..40)) {
        let mut location = registered();
        for (second, step) in steps.iter().enumerate() {
            let now = at(i64::try_from(second).expect("few"));
            let next = moved(&location, step, now);
            prop_assert!(next.epoch >= location.epoch, "{step:?}");
            let is_elsewhere = next.active_place() != location.active_place() || next.active != location.active;
            prop_assert_eq!(next.epoch > location.epoch, is_elsewhere, "{:?}", step);
            prop_assert!(next.former.len() <= KEEP_FORMER);
            prop_assert!(next.former.first().is_none_or(|former| former.epoch < next.epoch));
            prop_assert!(next.former.windows(2).all(|pair| pair[0].epoch > pair[1].epoch));
            if let Some(retired) = &next.retired {
                prop_assert!(next.active == Side::Target, "{:?}", retired);
            }
            location = next;
        }
    }

    #[test]
    fn a_hold_is_released_by_its_own_run_alone(holder in 0..3u8, other in 0..3u8, until in 0..100i64, now in 0..100i64) {
        let name = |number: u8| run(&number.to_string());
        let held = registered().held(&name(holder), at(until));
        let released = held.released(&name(other));
        prop_assert_eq!(released.hold.is_none(), holder == other);
        prop_assert_eq!(held.live_hold(at(now)).is_some(), now < until);
    }
}

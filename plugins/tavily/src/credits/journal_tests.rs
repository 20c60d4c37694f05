//! The journal, with days that a test chooses.

use proptest::prelude::*;
use time::macros::date;

use super::*;

const TODAY: Date = date!(2026 - 11 - 22);

fn whole(credits: u32) -> Credits {
    Credits::whole(credits)
}

fn reserve(id: &str, subject: &str, credits: u32, each: Option<u32>, all: Option<u32>) -> Op {
    let ceilings = [each.map(whole), all.map(whole)];
    Op::Reserve { id: id.into(), subject: subject.into(), amount: whole(credits), ceilings }
}

fn settle(id: &str, credits: u32) -> Op {
    Op::Settle { id: id.into(), amount: whole(credits) }
}

fn look(subject: &str) -> Op {
    Op::Look { subject: subject.into() }
}

fn used(subject: u32, all: u32) -> Reply {
    Reply::Used { subject: whole(subject), all: whole(all) }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn what_is_reserved_counts_until_it_is_settled() {
    let folder = folder();
    let mut journal = Journal::new(folder.path().join("credits"));
    let ops = [reserve("a", "ann", 250, None, None), reserve("b", "bob", 2, None, None), look("ann")];
    assert_eq!(journal.transact(TODAY, &ops).unwrap()[2], used(250, 252));
    let replies = journal.transact(TODAY, &[settle("a", 22), look("ann"), settle("a", 0), look("ann")]).unwrap();
    assert_eq!(replies, [Reply::Done, used(22, 24), Reply::Done, used(22, 24)], "settled once and for all");
    // What came to more than was set aside counts as well.
    assert_eq!(journal.transact(TODAY, &[settle("b", 9), look("bob")]).unwrap()[1], used(9, 31));
}

#[test]
fn a_ceiling_is_never_gone_over_whoever_asks() {
    let folder = folder();
    let mut journal = Journal::new(folder.path().into());
    let mut other = Journal::new(folder.path().into());
    let granted = |journal: &mut Journal, id: &str, subject: &str| {
        journal.transact(TODAY, &[reserve(id, subject, 4, Some(10), Some(14))]).unwrap().remove(0)
    };
    assert_eq!(granted(&mut journal, "1", "ann"), Reply::Done);
    assert_eq!(granted(&mut other, "2", "ann"), Reply::Done);
    let over = |ceiling, most, used| Reply::Over { ceiling, most: whole(most), used: whole(used) };
    assert_eq!(granted(&mut journal, "3", "ann"), over(Ceiling::Subject, 10, 8));
    assert_eq!(granted(&mut journal, "4", "bob"), Reply::Done);
    assert_eq!(granted(&mut other, "5", "cat"), over(Ceiling::Day, 14, 12));
    journal.transact(TODAY, &[settle("2", 0)]).unwrap();
    assert_eq!(granted(&mut other, "6", "cat"), Reply::Done);
}

#[test]
fn a_new_process_knows_what_was_used_and_a_new_day_begins_at_nothing() {
    let folder = folder();
    Journal::new(folder.path().into()).transact(TODAY, &[reserve("a", "ann", 5, None, None)]).unwrap();
    let mut journal = Journal::new(folder.path().into());
    assert_eq!(journal.transact(TODAY, &[look("ann")]).unwrap(), [used(5, 5)]);
    let tomorrow = TODAY.next_day().unwrap();
    assert_eq!(journal.transact(tomorrow, &[look("ann"), settle("a", 1)]).unwrap()[0], used(0, 0));
    assert_eq!(journal.transact(TODAY, &[look("ann")]).unwrap(), [used(5, 5)], "a clock that is set back");
}

#[test]
fn a_write_that_a_crash_cut_short_is_taken_off() {
    let folder = folder();
    let file = folder.path().join("2026-11-22.jsonl");
    let mut journal = Journal::new(folder.path().into());
    journal.transact(TODAY, &[reserve("a", "ann", 5, None, None), settle("a", 2)]).unwrap();
    let whole_text = fs::read_to_string(&file).unwrap();
    let last = whole_text.trim_end().rfind('\n').unwrap() + 1;
    // Wherever the last line – a settlement – ends early, its reservation counts in full.
    for end in last..whole_text.len() {
        fs::write(&file, &whole_text[..end]).unwrap();
        assert_eq!(Journal::new(folder.path().into()).transact(TODAY, &[look("ann")]).unwrap(), [used(5, 5)], "{end}");
        assert!(fs::read_to_string(&file).unwrap().ends_with('\n'));
    }
    fs::write(&file, &whole_text).unwrap();
    assert_eq!(Journal::new(folder.path().into()).transact(TODAY, &[look("ann")]).unwrap(), [used(2, 2)]);
}

#[test]
fn a_damaged_file_lets_nothing_through_until_somebody_has_looked() {
    let folder = folder();
    let file = folder.path().join("2026-11-22.jsonl");
    let mut journal = Journal::new(folder.path().into());
    journal.transact(TODAY, &[reserve("a", "ann", 5, None, None), settle("a", 2)]).unwrap();
    let sound = fs::read_to_string(&file).unwrap();
    let (head, rest) = sound.split_once('\n').unwrap();
    let (reserved, settled) = rest.trim_end().split_once('\n').unwrap();
    let damaged = [
        (format!("{head}\nnonsense\n{rest}"), 2),
        (format!("{head}\n\u{0}\u{0}\n"), 2),
        (format!("{head}\n{settled}\n"), 2),
        (format!("{head}\n{reserved}\n{reserved}\n"), 3),
        (rest.to_owned(), 1),
        (format!("{head}\n{head}\n"), 2),
        (sound.replace("2026-11-22", "2026-11-21"), 1),
        (sound.replace("\"version\":1", "\"version\":2"), 1),
        (sound.replace("5000", "-5000"), 2),
        (sound.replace("\"amount\":2000", "\"amount\":2000,\"more\":1"), 3),
        ("\n".into(), 1),
    ];
    for (text, line) in damaged {
        fs::write(&file, &text).unwrap();
        let trouble = Journal::new(folder.path().into()).transact(TODAY, &[reserve("b", "ann", 1, None, None)]);
        let expected = Trouble::Damaged { file: file.display().to_string(), line };
        assert_eq!(trouble, Err(expected), "{text:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "it is left as it is");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(journal.transact(TODAY, &[look("ann")]).unwrap(), [used(0, 0)], "the operator begins the day anew");
}

#[test]
fn a_folder_that_cannot_be_written_lets_nothing_through() {
    let folder = folder();
    let blocked = folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let trouble = Journal::new(blocked.join("credits")).transact(TODAY, &[look("ann")]);
    assert!(matches!(trouble, Err(Trouble::Io { .. })), "{trouble:?}");
}

#[test]
fn files_of_long_ago_are_removed_and_others_are_not() {
    let folder = folder();
    for name in ["2026-10-01.jsonl", "2026-10-23.jsonl", "2020-01-01.txt", "notes.jsonl"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    Journal::new(folder.path().into()).transact(TODAY, &[look("ann")]).unwrap();
    let mut left: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort_unstable();
    assert_eq!(left, ["2020-01-01.txt", "2026-10-23.jsonl", "2026-11-22.jsonl", "notes.jsonl"]);
}

/// What is done to a journal: reserve, settle one of those before, or read it anew as after a crash.
#[derive(Debug, Clone)]
enum Step {
    Reserve(u8, u32),
    Settle(usize, u32),
    Crash(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_u8, 0..6_u32).prop_map(|(who, amount)| Step::Reserve(who, amount)),
        3 => (0..20_usize, 0..6_u32).prop_map(|(which, amount)| Step::Settle(which, amount)),
        1 => (0..40_usize).prop_map(Step::Crash),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_course_of_things_lets_a_ceiling_be_gone_over_or_money_be_forgotten(steps in steps()) {
        const MOST: u32 = 12;
        let folder = folder();
        let mut journal = Journal::new(folder.path().into());
        // What is certain: who holds what, and what was settled to what.
        let mut grants: Vec<(u8, u32, Option<u32>)> = Vec::new();
        for step in steps {
            match step {
                Step::Reserve(who, amount) => {
                    let id = grants.len().to_string();
                    let op = reserve(&id, &who.to_string(), amount, Some(MOST), None);
                    if journal.transact(TODAY, &[op]).unwrap() == [Reply::Done] {
                        grants.push((who, amount, None));
                    }
                }
                Step::Settle(which, amount) => {
                    let Some((_, reserved, settled)) = grants.get_mut(which) else { continue };
                    // Tavily bills at most what was set aside.
                    let amount = amount.min(*reserved);
                    journal.transact(TODAY, &[settle(&which.to_string(), amount)]).unwrap();
                    settled.get_or_insert(amount);
                }
                Step::Crash(torn) => {
                    // Half a line at the end is what a crash leaves behind.
                    let file = folder.path().join("2026-11-22.jsonl");
                    if file.exists() {
                        let half = &br#"{"settle":"0","amount":0}"#[..torn.min(24)];
                        let mut open = OpenOptions::new().append(true).open(&file).unwrap();
                        open.write_all(half).unwrap();
                    }
                    journal = Journal::new(folder.path().into());
                }
            }
            for who in 0..3_u8 {
                let own = grants.iter().filter(|(whose, ..)| *whose == who);
                let expected: u32 = own.map(|(_, reserved, settled)| settled.unwrap_or(*reserved)).sum();
                let all: u32 = grants.iter().map(|(_, reserved, settled)| settled.unwrap_or(*reserved)).sum();
                prop_assert!(expected <= MOST);
                prop_assert_eq!(journal.transact(TODAY, &[look(&who.to_string())]).unwrap(), [used(expected, all)]);
            }
        }
    }
}

use std::net::{IpAddr, Ipv4Addr};

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits() -> Limits {
    Limits {
        header_timeout: Some(seconds(10)),
        idle_timeout: Some(seconds(100)),
        write_timeout: Some(seconds(30)),
        ..Limits::default()
    }
}

fn client(last: u8) -> Client {
    Client::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
}

struct House {
    table: Arc<Table>,
    begin: Instant,
}

impl House {
    fn new() -> Self {
        Self { table: Arc::default(), begin: Instant::now() }
    }

    fn at(&self, after: u64) -> Instant {
        self.begin + seconds(after)
    }

    fn enter(&self, id: u64, from: u8, after: u64) -> Entry {
        self.table.enter(id, client(from), self.at(after))
    }

    #[track_caller]
    fn check_next(&self, after: u64, expected: Option<u64>) {
        let next = self.table.sweep(&limits(), self.at(after));
        assert_eq!(next, expected.map(|expected| self.at(expected)), "after {after} s");
    }

    fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.table.rows().keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}

#[test]
fn each_phase_has_its_timeout() {
    let house = House::new();
    let entry = house.enter(1, 1, 0);
    let connection = &entry.connection;
    house.check_next(0, Some(10));
    connection.received(house.at(5));
    house.check_next(5, Some(15));
    connection.received(house.at(14));
    house.check_next(14, Some(15));
    connection.working(true, house.at(15));
    house.check_next(15, None);
    connection.answered(None, house.at(50));
    house.check_next(50, Some(80));
    connection.body_ended();
    connection.flushed(house.at(51));
    house.check_next(51, Some(151));
    connection.received(house.at(60));
    house.check_next(60, Some(70));
}

#[test]
fn a_timeout_can_be_left_out() {
    let house = House::new();
    let _entry = house.enter(1, 1, 0);
    let limits = Limits { header_timeout: None, ..limits() };
    assert_eq!(house.table.sweep(&limits, house.at(1_000_000)), None);
}

#[test]
fn only_enough_bytes_count_as_progress() {
    let house = House::new();
    let entry = house.enter(1, 1, 0);
    entry.connection.working(true, house.at(0));
    entry.connection.answered(None, house.at(0));
    for second in 1..20 {
        entry.connection.sent(100, house.at(second));
    }
    house.check_next(20, Some(30));
    entry.connection.sent(LEAST_PROGRESS as usize, house.at(20));
    house.check_next(20, Some(50));
}

#[test]
fn a_response_is_over_when_its_last_byte_went_to_the_kernel() {
    let house = House::new();
    let entry = house.enter(1, 1, 0);
    let connection = &entry.connection;
    connection.working(false, house.at(0));
    connection.flushed(house.at(1));
    assert_eq!(connection.phase(), Phase::Working);
    connection.answered(None, house.at(2));
    connection.flushed(house.at(3));
    assert_eq!(connection.phase(), Phase::Writing);
    connection.body_ended();
    assert_eq!(connection.phase(), Phase::Writing);
    connection.flushed(house.at(4));
    assert_eq!(connection.phase(), Phase::Idle);
}

#[test]
fn who_does_not_read_is_reset() {
    let house = House::new();
    let (reading, waiting) = (house.enter(1, 1, 0), house.enter(2, 1, 0));
    reading.connection.working(true, house.at(0));
    reading.connection.answered(None, house.at(0));
    house.check_next(1_000, None);
    assert!(reading.connection.is_reset());
    assert!(!waiting.connection.is_reset());
}

#[test]
fn the_client_with_the_most_connections_loses_its_oldest() {
    let house = House::new();
    let _scraper = house.enter(1, 1, 0);
    let _hostile: Vec<Entry> = (2..5).map(|id| house.enter(id, 2, id)).collect();
    assert!(house.table.spare_connection(house.at(10)));
    assert_eq!(house.ids(), [1, 3, 4]);
    assert!(house.table.spare_connection(house.at(10)));
    assert_eq!(house.ids(), [1, 4]);
}

#[test]
fn who_waits_goes_before_who_reads() {
    let house = House::new();
    let (reading, waiting) = (house.enter(1, 1, 0), house.enter(2, 1, 5));
    reading.connection.working(true, house.at(0));
    reading.connection.answered(None, house.at(1));
    assert!(house.table.spare_connection(house.at(10)));
    assert_eq!(house.ids(), [1]);
    drop(waiting);
    assert!(house.table.spare_connection(house.at(10)));
    assert_eq!(house.ids(), [0_u64; 0]);
}

#[test]
fn work_and_young_responses_are_not_given_up() {
    let house = House::new();
    let (working, answered) = (house.enter(1, 1, 0), house.enter(2, 1, 0));
    working.connection.working(true, house.at(0));
    answered.connection.working(true, house.at(0));
    answered.connection.answered(None, house.at(10));
    assert!(!house.table.spare_connection(house.at(10)));
    assert!(house.table.spare_connection(house.at(11)));
    assert_eq!(house.ids(), [1]);
}

#[test]
fn only_dear_responses_are_given_up_for_memory() {
    let house = House::new();
    let (cheap, dear, _idle) = (house.enter(1, 1, 0), house.enter(2, 2, 0), house.enter(3, 3, 0));
    cheap.connection.working(false, house.at(0));
    cheap.connection.answered(None, house.at(0));
    assert!(!house.table.spare_page(None, house.at(10)));
    dear.connection.working(true, house.at(0));
    dear.connection.answered(None, house.at(0));
    assert!(house.table.spare_page(None, house.at(10)));
    assert_eq!(house.ids(), [1, 3]);
}

#[test]
fn only_slow_readers_of_the_client_that_waits_are_given_up() {
    let house = House::new();
    let entries: Vec<Entry> = [(1, 1), (2, 1), (3, 2)].map(|(id, from)| house.enter(id, from, 0)).into();
    for entry in &entries {
        entry.connection.working(true, house.at(0));
        entry.connection.answered(None, house.at(0));
    }
    let diligent = 4 * DILIGENT as usize;
    entries[0].connection.sent(diligent, house.at(3));
    entries[2].connection.sent(diligent, house.at(3));
    assert!(!house.table.spare_page(Some(client(2)), house.at(3)), "it reads fast enough");
    assert!(!house.table.spare_page(Some(client(3)), house.at(3)), "it has none");
    assert!(house.table.spare_page(Some(client(1)), house.at(3)));
    assert_eq!(house.ids(), [1, 3]);
    assert!(!house.table.spare_page(None, house.at(3)));
    assert!(house.table.spare_page(None, house.at(5)), "they stopped reading");
}

#[test]
fn a_connection_leaves_the_table_when_it_ends() {
    let house = House::new();
    let entry = house.enter(1, 1, 0);
    assert_eq!(house.table.len(), 1);
    drop(entry);
    assert_eq!(house.table.len(), 0);
}

#[test]
fn who_loses_something_by_being_cut_is_told_apart() {
    #[track_caller]
    fn check(expected: Option<Cut>, prepare: impl FnOnce(&House, &Connection), cut: impl FnOnce(&House)) {
        let house = House::new();
        let entry = house.enter(1, 1, 0);
        prepare(&house, &entry.connection);
        cut(&house);
        assert_eq!(entry.connection.why(), expected);
    }
    let overdue = |house: &House| {
        // Twice: until its task has ended, a connection stays in the table.
        house.table.sweep(&limits(), house.at(1_000));
        house.table.sweep(&limits(), house.at(1_001));
    };
    let wanted = |house: &House| assert!(house.table.spare_connection(house.at(1_000)));
    let request = |house: &House, connection: &Connection| connection.received(house.at(1));
    let answer = |house: &House, connection: &Connection| {
        connection.working(true, house.at(1));
        connection.answered(None, house.at(2));
    };
    let idle = |house: &House, connection: &Connection| {
        answer(house, connection);
        connection.body_ended();
        connection.flushed(house.at(3));
    };
    check(Some(Cut::SlowRequest), |_, _| {}, overdue);
    check(Some(Cut::SlowRequest), request, overdue);
    check(Some(Cut::NotReading), answer, overdue);
    check(None, idle, overdue);
    check(Some(Cut::NeededByOthers), request, wanted);
    check(Some(Cut::NeededByOthers), answer, wanted);
    check(None, idle, wanted);
    check(Some(Cut::NeededByOthers), answer, |house| assert!(house.table.spare_page(None, house.at(1_000))));
    check(None, answer, |house| house.table.end_all());
    check(Some(Cut::NotReading), answer, |house| {
        overdue(house);
        house.table.end_all();
    });
}

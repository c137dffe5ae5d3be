//! How often something dear may be done on behalf of lookups that found nothing.
//!
//! A miss may mean that the machine has changed, so it is a reason to look
//! again; a storm of misses must not become a storm of looking. The pace is a
//! budget of time that refills with a share of the time that passes: what costs
//! little may be done often, what costs much seldom, and after a quiet while
//! there is always enough to look at once.

use std::time::Duration;

/// One part in this many of the time that passes may be spent.
const SHARE: u32 = 20;

/// Fruitless work doubles in price at most this many times.
const MOST_DOUBLINGS: u32 = 6;

/// A budget of time that refills with 5 % of the time that passes.
#[derive(Debug)]
pub struct Pace {
    /// What one piece of work costs at least.
    price: Duration,
    /// What can be saved up.
    most: Duration,
    /// What was spent, as time on a clock that is ahead by what can be saved up.
    spent_until: Duration,
    fruitless: u32,
}

impl Pace {
    /// A full budget: `most` can be saved up, and each piece of work costs at least `price`.
    #[must_use]
    pub fn new(price: Duration, most: Duration) -> Self {
        Self { price, most, spent_until: Duration::ZERO, fruitless: 0 }
    }

    /// Whether work may begin now.
    #[must_use]
    pub fn allows(&self, now: Duration) -> bool {
        now.saturating_add(self.ahead()) >= self.spent_until
    }

    /// Pays for work that took from `began` to `ended`. Work that found nothing new doubles the
    /// price of what follows until something new is found, so that ids which nobody knows are
    /// soon asked for less often than new ones that are always found.
    pub fn pay(&mut self, began: Duration, ended: Duration, fruitful: bool) {
        self.fruitless = if fruitful { 0 } else { (self.fruitless + 1).min(MOST_DOUBLINGS) };
        let price = self.price.saturating_mul(1 << self.fruitless.saturating_sub(1));
        let cost = ended.saturating_sub(began).max(price).saturating_mul(SHARE);
        self.spent_until = self.spent_until.max(ended).saturating_add(cost);
    }

    fn ahead(&self) -> Duration {
        self.most.saturating_mul(SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    const START: Duration = Duration::from_secs(1000);

    #[track_caller]
    fn check(price: u32, most: u32, fruitful: bool, took: u32, expected_in_a_burst: u32) {
        let mut pace = Pace::new(MS * price, MS * most);
        let mut now = START;
        let mut done = 0;
        while pace.allows(now) && done < 10_000 {
            let began = now;
            now += MS * took;
            pace.pay(began, now, fruitful);
            done += 1;
        }
        assert_eq!(done, expected_in_a_burst);
    }

    #[test]
    fn a_burst_ends_when_the_budget_is_spent() {
        check(1, 50, true, 0, 51);
        check(1, 50, false, 0, 6);
        check(50, 0, true, 0, 1);
        check(1, 50, true, 2000, 1);
    }

    #[test]
    fn dear_work_waits_for_twenty_times_its_cost() {
        let mut pace = Pace::new(MS, MS * 50);
        pace.pay(START, START + MS * 2050, true);
        let end = START + MS * 2050;
        assert!(!pace.allows(end + MS * 39_999));
        assert!(pace.allows(end + MS * 40_000));
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let mut pace = Pace::new(MS, MS * 2);
        let mut now = START * 50;
        let mut done = 0;
        while pace.allows(now) {
            pace.pay(now, now, true);
            done += 1;
        }
        assert_eq!(done, 3);
        now += MS * 20;
        assert!(pace.allows(now));
    }

    #[test]
    fn fruitless_work_recovers_within_seconds() {
        let mut pace = Pace::new(MS, MS * 50);
        let mut now = START;
        for _ in 0..10_000 {
            if pace.allows(now) {
                pace.pay(now, now, false);
            }
            now += MS / 10;
        }
        assert!(pace.allows(now + MS * 1300));
    }
}

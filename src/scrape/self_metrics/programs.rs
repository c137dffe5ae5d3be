//! What became of programs, and what the kernel says of those that are loaded.

use super::family::Families;
use super::names;
use crate::scrape::generation::Generation;

pub(super) fn collect(generation: &Generation, statistics: bool, families: &mut Families) {
    for config in generation.configs() {
        for program in &config.programs {
            let places = program.places;
            let labels = [
                ("config", config.name.as_str()),
                ("program", program.program.as_str()),
                ("verdict", program.verdict.label()),
            ];
            families.add(&names::PROGRAM_VERDICT, &labels, 1.0);
            let [config, program, _] = labels;
            #[allow(clippy::cast_precision_loss)]
            let places = places as f64;
            families.add(&names::PROGRAM_PLACES, &[config, program], places);
        }
    }
    for view in generation.views() {
        for program in view.programs.programs() {
            let id = program.id.to_string();
            let info = [
                ("config", view.config.as_str()),
                ("program", program.name.as_str()),
                ("tag", program.tag.as_str()),
                ("id", id.as_str()),
            ];
            families.add(&names::PROGRAM_INFO, &info, 1.0);
            if let Some(missed) = program.missed {
                let [config, program, ..] = info;
                #[allow(clippy::cast_precision_loss)]
                let missed = missed as f64;
                families.add(&names::PROGRAM_MISSED, &[config, program], missed);
            }
            let labels = [("id", id.as_str())];
            families.add(&names::PROGRAM_ATTACHED, &labels, f64::from(u8::from(program.attached)));
            if statistics {
                #[allow(clippy::cast_precision_loss)]
                let count = program.run_count as f64;
                families.add(&names::PROGRAM_RUN_TIME, &labels, program.run_time.as_secs_f64());
                families.add(&names::PROGRAM_RUN_COUNT, &labels, count);
            }
        }
    }
}

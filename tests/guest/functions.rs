use crate::common::exporter::Exporter;

/// Of alternatives, the best one is at work: these kernels have fentry.
#[test]
fn functions_are_followed_where_they_can_be() {
    let names = "--config.names=cachehits,swap,tcpconnections";
    let exporter =
        Exporter::start(&["--config.dir=/configs", "--object.dir=/bpf-objects", "--config.strict", names]);
    for (config, program) in [
        ("cachehits", "cache_read_ends"),
        ("swap", "swap_in_entry"),
        ("swap", "swap_in_exit"),
        ("tcpconnections", "accept_ends"),
    ] {
        let labels = format!("config=\"{config}\",program=\"{program}\",verdict=\"attached\"");
        let series = format!("ebpf_exporter_program_verdict{{{labels}}}");
        assert_eq!(exporter.value(&series), Some(1.0), "{}", exporter.page());
    }
}

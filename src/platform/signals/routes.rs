//! Linux: which routes lead beyond this machine, from `/proc/self/net`. For comparison, not for routing.

use std::path::Path;

/// The routes beyond this machine, one a line: interface, destination, gateway. Empty: none.
pub(super) fn read() -> String {
    let file = |name: &str| std::fs::read_to_string(Path::new("/proc/self/net").join(name)).unwrap_or_default();
    beyond(&file("route"), &file("ipv6_route"))
}

fn beyond(v4: &str, v6: &str) -> String {
    let mut found: Vec<String> =
        v4.lines().skip(1).filter_map(route_v4).chain(v6.lines().filter_map(route_v6)).collect();
    found.sort_unstable();
    found.join("\n")
}

/// proc_net_route: interface, destination, gateway, flags (`RTF_UP` is 1, `RTF_REJECT` 0x200), ..., mask in field 7.
fn route_v4(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [interface, destination, gateway, flags, ..] = fields.as_slice() else { return None };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let up = flags & 1 != 0 && flags & 0x200 == 0;
    let mask = fields.get(7)?;
    (up && *interface != "lo").then(|| format!("{interface} {destination}/{mask} {gateway}"))
}

/// Destination, prefix length, source and its length, next hop, metric, two counters, flags, interface. Link-local
/// and multicast routes exist wherever an interface is up and lead nowhere.
fn route_v6(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [destination, length, _, _, hop, _, _, _, flags, interface] = fields.as_slice() else { return None };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let up = flags & 1 != 0 && flags & 0x200 == 0;
    let local = *interface == "lo" || destination.starts_with("fe80") || destination.starts_with("ff");
    // A /128 is an address of our own, or one cached host.
    (up && !local && *length != "80").then(|| format!("{interface} {destination}/{length} {hop}"))
}

#[cfg(test)]
mod tests {
    use super::beyond;

    const V4: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";
    const LINK_LOCAL: &str = "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000002 00000000 00000001 eth0\n";
    const REJECTED: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n";

    #[test]
    fn the_loopback_and_the_link_itself_lead_nowhere() {
        assert_eq!(beyond(V4, LINK_LOCAL), "eth0 00000000/00000000 010200C0");
        assert_eq!(beyond("header\n", &[LINK_LOCAL, REJECTED].concat()), "");
    }

    #[test]
    fn a_metric_or_counter_is_no_change_and_a_gateway_is() {
        assert_eq!(beyond(V4, ""), beyond(&V4.replace("\t100\t", "\t600\t"), ""));
        assert_ne!(beyond(V4, ""), beyond(&V4.replace("0102", "0302"), ""));
    }
}

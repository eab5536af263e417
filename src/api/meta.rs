//! What the service tells about itself.

use crate::api::admin::AdminClient;
use crate::api::object::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;

api_object! {
    /// Addresses from which the service calls out, by product.
    ///
    /// Products other than the Web Modeler, once the service lists them, are in `extra`;
    /// [`IpRanges::iter`] has them all.
    response struct IpRanges {
        /// The Web Modeler's, as CIDRs.
        defaulted web_modeler: Vec<String> = "web-modeler",
    }
}

impl IpRanges {
    /// All products with their CIDRs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        let others = self
            .extra
            .iter()
            .filter_map(|(name, value)| Some((name, value.decode().ok()?)));
        std::iter::once(("web-modeler", self.web_modeler.clone())).chain(others)
    }
}

pub(crate) static IP_RANGES: Operation = Operation {
    name: "list egress IP ranges",
    call: "ip_ranges",
    c_name: "camunda_ip_ranges",
    path: "/meta/ip-ranges",
    answer: Some(BodySchema::object::<IpRanges>()),
    authenticated: false,
    doc: "Lists the addresses from which the service calls out. Changes are published here 24 \
          hours ahead. The one operation without a token.",
    ..Operation::GET_DEFAULTS
};

impl AdminClient {
    /// Lists the addresses from which the service calls out. Changes are published here 24 hours
    /// ahead. The one operation without a token.
    pub fn ip_ranges(&self) -> Result<IpRanges> {
        self.read(&IP_RANGES, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_to_come_are_listed_too() {
        let ranges: IpRanges =
            serde_json::from_str(r#"{"web-modeler":["1.2.3.4/32"],"connectors":["5.6.7.8/32"]}"#)
                .unwrap();
        let names: Vec<_> = ranges.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["web-modeler", "connectors"]);
    }
}

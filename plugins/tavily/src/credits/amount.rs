//! An amount of Tavily's credits.

use std::{borrow::Cow, fmt, iter::Sum, ops::Add};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// Credits, counted in thousandths so that sums stay exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Credits(u64);

/// More than any call costs: what Tavily says beyond it is no amount.
const MOST: f64 = 1e9;

impl Credits {
    /// So many whole credits.
    pub(crate) const fn whole(credits: u32) -> Self {
        Self(credits as u64 * 1000)
    }

    /// What Tavily wrote, rounded up; nothing if it is no amount.
    pub(crate) fn read(credits: f64) -> Option<Self> {
        (0.0..=MOST).contains(&credits).then(|| Self((credits * 1000.0).ceil() as u64))
    }

    /// Whether it is a believable price of what costs `most` at most. Price lists change, but not by so much at once.
    pub(crate) fn is_believable(self, most: Self) -> bool {
        self.0 <= most.0.saturating_mul(20)
    }

    pub(super) const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    pub(super) const fn thousandths(self) -> u64 {
        self.0
    }

    /// As a number, to be read again.
    pub(crate) fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// What is left of this after another amount.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Credits {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Credits {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

/// "1", "0.5"; with its noun where it stands in a sentence (`{:#}`).
impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        write!(f, "{whole}")?;
        if rest != 0 {
            f.write_str(format!(".{rest:03}").trim_end_matches('0'))?;
        }
        match f.alternate() {
            true if self.0 == 1000 => f.write_str(" credit"),
            true => f.write_str(" credits"),
            false => Ok(()),
        }
    }
}

/// 1 rather than 1.0.
impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1000 {
            0 => output.serialize_u64(self.0 / 1000),
            _ => output.serialize_f64(self.as_f64()),
        }
    }
}

impl JsonSchema for Credits {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Credits".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_read_well() {
        let tenth = Credits::read(0.1).unwrap();
        assert_eq!((0..10).map(|_| tenth).sum::<Credits>(), Credits::whole(1));
        for (given, shown) in [(0.0, "0"), (1.0, "1"), (0.5, "0.5"), (22.25, "22.25"), (0.0001, "0.001")] {
            assert_eq!(Credits::read(given).unwrap().to_string(), shown);
        }
        assert_eq!(format!("{:#} {:#}", Credits::whole(1), Credits::whole(2)), "1 credit 2 credits");
        for given in [-1.0, f64::NAN, f64::INFINITY, 1e12] {
            assert_eq!(Credits::read(given), None, "{given}");
        }
        assert_eq!(serde_json::to_string(&[Credits::whole(3), tenth]).unwrap(), "[3,0.1]");
    }
}

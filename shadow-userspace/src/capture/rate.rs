//! The sample rate.

use std::{fmt, str::FromStr};

use shadow_common::FULL_RATE;

/// A share of the traffic, 0 % to 100 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRate {
    percent: f64,
}

/// Why a text is no sample rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no sample rate: give a percentage from 0% to 100%, such as 5% or 0.25%")]
pub struct RateError {
    given: String,
}

impl SampleRate {
    /// Everything.
    pub const ALL: Self = Self { percent: 100.0 };

    /// The share in percent, 0 to 100.
    #[must_use]
    pub const fn percent(self) -> f64 {
        self.percent
    }

    /// The kernel's threshold: a 32-bit hash below it is sampled.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^32 by construction")]
    pub fn threshold(self) -> u64 {
        // 2^32 is exact in f64.
        (self.percent / 100.0 * FULL_RATE as f64).round() as u64
    }
}

impl FromStr for SampleRate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number = text.trim().strip_suffix('%').unwrap_or(text.trim()).trim_end();
        match number.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self { percent }),
            _ => Err(RateError { given: text.to_owned() }),
        }
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_percentages() {
        for (text, percent, threshold) in [
            ("0%", 0.0, 0),
            ("100%", 100.0, FULL_RATE),
            ("100", 100.0, FULL_RATE),
            ("50 %", 50.0, FULL_RATE / 2),
            ("0.25%", 0.25, 10_737_418),
            (" 5% ", 5.0, 214_748_365),
        ] {
            let rate: SampleRate = text.parse().unwrap();
            assert_eq!((rate.percent(), rate.threshold()), (percent, threshold), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else_and_says_what_to_give() {
        for text in ["", "%", "-1%", "100.1%", "NaN", "inf", "half", "5%%", "0x5"] {
            let error = text.parse::<SampleRate>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("such as 5%"), "{error}");
        }
    }
}

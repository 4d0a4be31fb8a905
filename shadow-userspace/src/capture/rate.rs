//! The sample rate.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use shadow_common::FULL_RATE;

/// A share of the traffic, 0 % to 100 %.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct SampleRate {
    percent: f64,
}

/// Why something is no sample rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given} is no sample rate: give a percentage from 0% to 100%, such as 5% or 0.25%")]
pub struct RateError {
    given: String,
}

impl SampleRate {
    /// Everything.
    pub const ALL: Self = Self { percent: 100.0 };

    /// Nothing.
    pub const NONE: Self = Self { percent: 0.0 };

    /// That many percent.
    ///
    /// # Errors
    /// If it is less than 0, more than 100, or no number.
    pub fn from_percent(percent: f64) -> Result<Self, RateError> {
        // Adding zero makes a negative zero a zero, which is all that it would be shown as.
        if (0.0..=100.0).contains(&percent) {
            Ok(Self { percent: percent + 0.0 })
        } else {
            Err(RateError { given: format!("{percent}") })
        }
    }

    /// `numerator` of `denominator` requests.
    ///
    /// # Errors
    /// If that is more than all of them, or of none.
    pub fn from_fraction(numerator: u32, denominator: u32) -> Result<Self, RateError> {
        let refused = |_| RateError { given: format!("{numerator}/{denominator}") };
        Self::from_percent(f64::from(numerator) * 100.0 / f64::from(denominator)).map_err(refused)
    }

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

/// A sample rate that is changed while others read it.
#[derive(Debug)]
pub struct LiveRate {
    /// The bits of `SampleRate::percent`.
    percent: AtomicU64,
}

impl LiveRate {
    /// Begins with `rate`.
    #[must_use]
    pub const fn new(rate: SampleRate) -> Self {
        Self { percent: AtomicU64::new(rate.percent.to_bits()) }
    }

    /// The rate now.
    #[must_use]
    pub fn get(&self) -> SampleRate {
        SampleRate { percent: f64::from_bits(self.percent.load(Ordering::Relaxed)) }
    }

    /// Another one from now on.
    pub fn set(&self, rate: SampleRate) {
        self.percent.store(rate.percent.to_bits(), Ordering::Relaxed);
    }
}

impl FromStr for SampleRate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let number = text.trim().strip_suffix('%').unwrap_or(text.trim()).trim_end();
        let rate = number.parse().ok().and_then(|percent| Self::from_percent(percent).ok());
        rate.ok_or_else(|| RateError { given: format!("{text:?}") })
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
            ("-0%", 0.0, 0),
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

    #[test]
    fn numbers_are_percentages_too() {
        for (percent, shown) in
            [(0.0, "0%"), (-0.0, "0%"), (0.0001, "0.0001%"), (12.5, "12.5%"), (100.0, "100%")]
        {
            assert_eq!(SampleRate::from_percent(percent).unwrap().to_string(), shown);
        }
        for percent in [-0.1, 100.1, f64::NAN, f64::INFINITY] {
            let error = SampleRate::from_percent(percent).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{percent} is no sample rate")), "{error}");
        }
    }

    #[test]
    fn a_millionth_is_exact() {
        const MILLION: u32 = 1_000_000;
        for numerator in 0..=MILLION {
            let rate = SampleRate::from_fraction(numerator, MILLION).unwrap();
            let exact = (u64::from(numerator) * FULL_RATE + u64::from(MILLION) / 2) / u64::from(MILLION);
            assert_eq!(rate.threshold(), exact, "{numerator}");
        }
        assert_eq!(SampleRate::from_fraction(1, MILLION).unwrap().to_string(), "0.0001%");
        assert_eq!(SampleRate::from_fraction(3, 3), Ok(SampleRate::ALL));
        assert_eq!(SampleRate::from_fraction(0, 7), Ok(SampleRate::NONE));
        for (numerator, denominator) in [(1, 0), (0, 0), (2, 1)] {
            let error = SampleRate::from_fraction(numerator, denominator).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{numerator}/{denominator} is no sample rate")), "{error}");
        }
    }
}

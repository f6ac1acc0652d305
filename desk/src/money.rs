//! Whole minor units as people write money.

/// Currencies whose minor unit is not a hundredth: how many decimals they have (ISO 4217).
const DECIMALS: &[(&str, usize)] = &[
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// The currencies that are in use, and those that lately were (ISO 4217, lists one and three).
const KNOWN: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF \
    CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK \
    HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP \
    MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD \
    SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF \
    XCD XCG XOF XPF YER ZAR ZMW ZWG ZWL";

/// Whether there is such a currency.
#[must_use]
pub fn is_known(code: &str) -> bool {
    code.len() == 3 && KNOWN.split_ascii_whitespace().any(|known| known == code)
}

/// How many decimals a currency has: none where nobody says which one it is (an empty text), so that none are made up.
#[must_use]
pub fn decimals(currency: &str) -> usize {
    if currency.is_empty() {
        return 0;
    }
    DECIMALS.iter().find(|(code, _)| *code == currency).map_or(2, |(_, decimals)| *decimals)
}

/// `EUR 1,234.50`. Without a currency nobody knows how many decimals there are, so none are made up.
pub(crate) fn amount(minor: u64, currency: Option<&str>) -> String {
    match currency {
        Some(currency) => format!("{currency} {}", figure(minor, Some(currency))),
        None => format!("{} minor units", figure(minor, None)),
    }
}

/// The same without the currency, for a column that says it once.
pub(crate) fn figure(minor: u64, currency: Option<&str>) -> String {
    let decimals = decimals(currency.unwrap_or_default());
    let digits = format!("{minor:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let mut out = String::with_capacity(digits.len() + 8);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn each_currency_has_its_decimals() {
        assert_eq!(amount(123_450, Some("USD")), "USD 1,234.50");
        assert_eq!(amount(5, Some("EUR")), "EUR 0.05");
        assert_eq!(amount(1_500, Some("JPY")), "JPY 1,500");
        assert_eq!(amount(1_500, Some("KWD")), "KWD 1.500");
        assert_eq!(amount(0, Some("USD")), "USD 0.00");
        assert_eq!(amount(9_007_199_254_740_991, Some("USD")), "USD 90,071,992,547,409.91");
        assert_eq!(amount(1_250, None), "1,250 minor units");
    }
}

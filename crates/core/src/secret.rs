//! Credentials that cannot be printed by accident.
use std::fmt;
use zeroize::Zeroize;

/// A credential, card number or token. Has no `Display`, no `Serialize`, no `PartialEq`; wiped when dropped.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The only way to the text; searching for this name finds every use.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_a_secret_does_not_contain_it() {
        let shown = format!("{:?}", Secret::new("sk_test_value"));
        assert!(!shown.contains("sk_test"), "{shown}");
    }
}

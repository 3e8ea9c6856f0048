//! Ledger postings: every change of a payment's money, written twice so that it sums to zero.
use crate::money::Money;
use crate::payment::Step;

/// Where money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// What the provider owes us.
    Provider,
    /// What we sold.
    Sales,
    /// What shoppers paid on top for their method, which is the provider's.
    MethodFees,
    /// What we gave back.
    Refunds,
}

impl Account {
    /// As it stands in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Sales => "sales",
            Self::MethodFees => "method_fees",
            Self::Refunds => "refunds",
        }
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: Account,
    /// Minor units; positive is a debit, negative a credit.
    pub amount: i64,
}

/// The postings of one step. `fee` is the part of a capture that the shopper paid for the method.
pub fn postings(step: &Step, fee: Money) -> Vec<Posting> {
    match step {
        Step::Captured { amount } => {
            let (taken, fee) = (amount.minor(), fee.minor().min(amount.minor()));
            let mut lines = vec![
                Posting {
                    account: Account::Provider,
                    amount: taken,
                },
                Posting {
                    account: Account::Sales,
                    amount: fee - taken,
                },
            ];
            if fee != 0 {
                lines.push(Posting {
                    account: Account::MethodFees,
                    amount: -fee,
                });
            }
            lines
        }
        Step::Refunded { amount, .. } => vec![
            Posting {
                account: Account::Refunds,
                amount: amount.minor(),
            },
            Posting {
                account: Account::Provider,
                amount: -amount.minor(),
            },
        ],
        Step::Authorized | Step::Cancelled | Step::Expired | Step::Failed { .. } => Vec::new(),
    }
}

//! What a model reads of a failure: what happened, what Tavily said, what to do.

use super::{Code, FailureDetails, Shortfall};
use crate::credits::{Ceiling, Credits};

/// What is quoted of others and has to stand between marks: all but the network's troubles, which are in words of ours.
pub(super) fn foreign(details: &FailureDetails) -> Option<&str> {
    if is_ours(details.code) { None } else { details.upstream_message.as_deref() }
}

fn is_ours(code: Code) -> bool {
    matches!(code, Code::Unreachable | Code::Timeout)
}

/// The words of a failure, without those of others; `keyless` says whether this server has no key.
pub(super) fn of(details: &FailureDetails, keyless: bool) -> String {
    let status = details.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let said = details.upstream_message.as_deref().filter(|_| is_ours(details.code));
    let said = said.map(|said| format!(": \"{}\"", said.replace('"', "'")));
    let said = format!("{status}{}", said.unwrap_or_default());
    let wait = match details.retry_after_s {
        Some(seconds) => format!("try again after {seconds} s"),
        None if details.cost.credits > Credits::default() => {
            format!("the call may have cost up to {:#}; trying again may cost as much again", details.cost.credits)
        }
        None => "wait a little and try again".to_owned(),
    };
    match details.code {
        Code::BadRequest => format!("tavily refuses the request{said}; correct the arguments"),
        Code::Unauthorized if keyless => {
            format!("tavily refuses requests without a key{said}; tell the operator of this server to set an API key")
        }
        Code::Unauthorized => format!(
            "tavily refuses this server's API key{said}; tell the operator of this server, trying again will not help"
        ),
        Code::Forbidden => format!("tavily does not allow this request{said}; leave out what it names"),
        Code::NotFound => {
            format!("tavily knows no such endpoint or object{said}; the operator should check `api_base_url`")
        }
        Code::RateLimited => format!("tavily limits the rate of requests{said}; {wait}"),
        Code::PlanLimit => {
            format!("the limit of this server's Tavily key or plan is used up{said}; tell the operator of this server")
        }
        Code::PaygoLimit => format!(
            "the pay-as-you-go limit of this server's Tavily account is used up{said}; tell the operator of this server"
        ),
        Code::KeylessLimit if keyless => {
            format!("the limit of Tavily's keyless mode is used up{said}; {wait}, or have the operator set an API key")
        }
        Code::KeylessLimit => {
            format!(
                "tavily treats this server as one without a key{said}; {wait}, or have the operator check the API key"
            )
        }
        Code::Error => format!("tavily failed{said}; {wait}"),
        Code::Unreachable => format!("tavily cannot be reached over the network{said}; {wait}"),
        Code::Timeout => format!(
            "tavily did not answer in time{said}; {}",
            match details.cost.credits > Credits::default() {
                true => wait,
                false => "try again with fewer results or pages".to_owned(),
            }
        ),
        Code::InvalidResponse => format!("tavily's answer cannot be used{said}; {wait}"),
        Code::NeedsKey => "this server has no Tavily API key, and without one only tavily_search and tavily_extract \
            work; use these, or tell the operator of this server to set `api_key`"
            .to_owned(),
        Code::CreditCeiling => details.budget.map_or_else(String::new, over),
        Code::StateUnavailable => "this server cannot tell what was spent today, so it spends nothing; tell the \
            operator of this server to look at its log"
            .to_owned(),
        Code::ResearchFailed => format!("the research failed at Tavily's{said}; {wait}"),
    }
}

fn over(Shortfall { ceiling, most, used, needed }: Shortfall) -> String {
    match ceiling {
        Ceiling::Call => format!(
            "this call could cost {needed:#}, and this server lets one cost {most} at most; ask for fewer pages or less depth"
        ),
        Ceiling::Subject => format!(
            "this call could cost {needed:#}, and {} of your {most} for today are left; ask for less, or wait for midnight UTC",
            most.minus(used)
        ),
        Ceiling::Day => format!(
            "this call could cost {needed:#}, and {} of this server's {most} for today are left; ask for less, or wait for midnight UTC",
            most.minus(used)
        ),
    }
}

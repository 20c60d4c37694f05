//! What all tools work with, and the one way to ask something that costs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use toolgate_plugin::{CallContext, Health, HostHandle, ProviderError, ToolError};

use crate::{
    cache::{Cache, Key, Remembered},
    credits::{Budget, Ceiling, Credits, Refusal, until_midnight},
    report::{self, Cost, Told},
    research::Handles,
    safety::envelope::Marks,
    settings::{self, Settings},
    sites::Rules,
    tools::Offers,
    upstream::{Answer, Code, Endpoint, Failure, Question, Shortfall, Upstream},
};

/// What all tools work with; made once, when the plugin starts.
pub(crate) struct Shared {
    pub(crate) upstream: Upstream,
    pub(crate) budget: Budget,
    pub(crate) handles: Handles,
    pub(crate) rules: Rules,
    pub(crate) marks: Marks,
    pub(crate) offers: Offers,
    pub(crate) times: Times,
    pub(crate) most_tokens: u32,
    pub(crate) account_usage: bool,
    cache: Option<Cache>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) call: Duration,
    pub(crate) crawl: Duration,
    pub(crate) research: settings::Research,
}

/// A question that costs.
pub(crate) struct Order<'a> {
    pub(crate) tool: &'static str,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) body: Vec<u8>,
    /// What is remembered it by, if not its body: one that says how much time is left never comes twice.
    pub(crate) asked: Option<&'a [u8]>,
    /// The most that it can cost.
    pub(crate) most: Credits,
    pub(crate) deadline: Instant,
    /// Whether an answer that is remembered will not do.
    pub(crate) fresh: bool,
    /// Whether an answer is whole, and may be remembered.
    pub(crate) whole: Box<dyn Fn(&Answer) -> bool + Send + Sync + 'a>,
}

impl Shared {
    /// From checked settings.
    pub(crate) fn new(settings: &Settings, host: HostHandle) -> Result<Self, ProviderError> {
        let upstream = Upstream::new(settings, host.clone())?;
        let marks = match settings.marks {
            settings::Marks::Random => Marks::Random,
            settings::Marks::Stable if settings.keyless() => Marks::stable(&rand::random::<[u8; 32]>()),
            settings::Marks::Stable => Marks::stable(settings.api_key.expose().as_bytes()),
        };
        Ok(Self {
            offers: Offers::new(settings, &upstream)?,
            budget: Budget::new(settings.credits, host.state_dir(), host.clone()),
            handles: Handles::new(host.state_dir(), host.clone()),
            rules: Rules::read(&settings.sites)?,
            marks,
            times: Times { call: settings.timeout.0, crawl: settings.crawl_timeout.0, research: settings.research },
            most_tokens: settings.max_output_tokens,
            account_usage: settings.account_usage,
            cache: settings.cache.map(Cache::new),
            upstream,
        })
    }

    /// Whether results are remembered.
    pub(crate) fn remembers(&self) -> bool {
        self.cache.is_some()
    }

    /// How the plugin is.
    pub(crate) fn health(&self) -> Health {
        if !self.budget.is_sound() {
            return Health::Degraded("calls that cost credits are refused: see the log about their journal".into());
        }
        self.upstream.health()
    }

    /// What a tool says that works with a key only.
    pub(crate) fn need_key(&self) -> Result<(), ToolError> {
        if self.upstream.is_keyless() { Err(self.fail(Failure::new(Code::NeedsKey))) } else { Ok(()) }
    }

    /// A failure as a caller gets it.
    pub(crate) fn fail(&self, failure: Failure) -> ToolError {
        failure
            .edited(|said| self.upstream.without_key(said).into_owned())
            .into_error(self.upstream.is_keyless(), &self.marks)
    }

    /// The tokens that a result may have.
    pub(crate) fn tokens(&self, asked: Option<u32>) -> u32 {
        asked.unwrap_or(self.most_tokens).min(self.most_tokens)
    }

    /// Why nothing was set aside.
    pub(crate) fn refused(&self, refusal: Refusal, needed: Credits) -> ToolError {
        let failure = match refusal {
            Refusal::Unknown => Failure::new(Code::StateUnavailable),
            Refusal::Over { ceiling, most, used } => {
                // What is more than a whole day's will not fit tomorrow either.
                let later = ceiling != Ceiling::Call && needed <= most;
                let failure = Failure::over(Shortfall { ceiling, most, used, needed }, later.then(until_midnight));
                let whose = match ceiling {
                    _ if later => None,
                    Ceiling::Call => None,
                    Ceiling::Subject => Some("a caller of this server may spend"),
                    Ceiling::Day => Some("this server may spend"),
                };
                match whose {
                    None => failure,
                    Some(whose) => failure.with_words(format!(
                        "this call could cost {needed:#}, more than the {most} that {whose} on a whole day; ask for fewer pages \
                         or less depth, or have the operator raise the ceiling"
                    )),
                }
            }
        };
        self.fail(failure)
    }

    /// What Tavily says that something cost, unless that is absurd for what costs `most` at most: one slip of Tavily's
    /// must not use up everybody's day.
    pub(crate) fn believed(&self, said: Option<Credits>, most: Credits) -> Option<Credits> {
        let believable = said.filter(|credits| credits.is_believable(most));
        if let (Some(said), None) = (said, believable) {
            tracing::warn!(
                target: "toolgate_tavily", %said, %most,
                "tavily names an absurd price, which is not counted; the most that the call can cost is"
            );
        }
        believable
    }

    /// Ask something that costs: refused beforehand if it could cost too much, answered from memory if it may be, and
    /// paid for. `price` says what an answer costs by Tavily's list, where Tavily itself does not say.
    pub(crate) async fn buy(
        &self,
        order: Order<'_>,
        cx: &CallContext,
        price: impl FnOnce(&Answer) -> Credits,
    ) -> Result<(Answer, Told), ToolError> {
        let key = self
            .cache
            .as_ref()
            .map(|cache| (cache, Key::new(&cx.caller, order.tool, order.asked.unwrap_or(&order.body))));
        if let Some((cache, key)) = key.as_ref().filter(|_| !order.fresh)
            && let Some(Remembered { answer, fetched_at }) = cache.get(key)
        {
            let told = Told { cached: true, fetched_at, ..Told::of(&answer, Cost::FREE) };
            return Ok((Answer::clone(&answer), told));
        }
        let reserved = self.budget.reserve(&cx.caller.subject, order.most).await;
        let mut grant = reserved.map_err(|refusal| self.refused(refusal, order.most))?;
        let Order { endpoint, deadline, .. } = order;
        let question = Question { endpoint, body: order.body.into(), deadline, grant: Some(&mut grant) };
        // Whoever goes while this is under way leaves what was set aside: it may have been billed.
        let asked = tokio::select! {
            biased;
            () = cx.cancelled.cancelled() => return Err(ToolError::Cancelled),
            asked = self.upstream.ask(question, cx) => asked,
        };
        let answer = match asked {
            Ok(answer) => answer,
            Err(failure) if failure.may_be_billed() => {
                return Err(self.fail(failure.with_cost(Cost::new(None, order.most))));
            }
            Err(failure) => {
                grant.settle(Credits::default());
                return Err(self.fail(failure));
            }
        };
        let cost = Cost::new(self.believed(answer.credits(), order.most), price(&answer));
        grant.settle(cost.credits);
        let told = Told::of(&answer, cost);
        if let Some((cache, key)) = key.filter(|_| (order.whole)(&answer)) {
            let fetched_at = report::timestamp(OffsetDateTime::now_utc());
            cache.put(key, Remembered { answer: Arc::new(answer.clone()), fetched_at });
        }
        Ok((answer, told))
    }
}

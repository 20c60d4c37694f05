//! `tavily_usage`: `GET /usage`.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toolgate_plugin::{CallContext, ToolAnnotations, ToolError, ToolSet, ToolSpec};

use crate::{
    credits::{Budget, Ceiling, Credits, Standing, until_midnight},
    report::{Cost, Report},
    safety::text,
    shared::Shared,
    upstream::{Question, answer},
};

const DESCRIPTION: &str = "\
See how many Tavily credits this server's key has used and what is left, and what is left of your own budget for today. \
Use it before something dear (tavily_crawl, tavily_research) or when a call was refused for its cost; every result says \
what it cost by itself. Free.";

/// Add the tool.
pub(crate) fn add_to(tools: ToolSet<Shared>) -> ToolSet<Shared> {
    let spec = ToolSpec {
        name: "tavily_usage".into(),
        title: Some("Credits used and left".into()),
        description: DESCRIPTION.into(),
        annotations: Some(ToolAnnotations::read_only().idempotent(true).open_world(true)),
    };
    tools.tool_with(spec, usage)
}

/// Arguments of `tavily_usage`: none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageArgs {}

/// The result of `tavily_usage`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Usage {
    /// What this server's key has used in the running period, in credits.
    key: Option<KeyUsage>,
    /// The same for the whole account, if this server shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountUsage>,
    /// This server's own ceilings.
    budget: Vec<Allowance>,
    /// What this call cost: nothing.
    cost: Cost,
    /// Tavily's id of the request.
    request_id: Option<String>,
}

/// What a key has used.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(inline)]
struct KeyUsage {
    /// In all.
    usage: Option<f64>,
    /// The key's limit; null if it has none.
    limit: Option<f64>,
    /// What is left of the limit; null if it has none.
    left: Option<f64>,
    search_usage: Option<f64>,
    extract_usage: Option<f64>,
    map_usage: Option<f64>,
    crawl_usage: Option<f64>,
    research_usage: Option<f64>,
}

/// What an account has used.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(inline)]
struct AccountUsage {
    /// The plan's name.
    current_plan: Option<String>,
    plan_usage: Option<f64>,
    plan_limit: Option<f64>,
    paygo_usage: Option<f64>,
    paygo_limit: Option<f64>,
}

/// One of this server's ceilings.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Allowance {
    /// On what: a call, your calls of today, all calls of today.
    ceiling: Ceiling,
    /// How many credits.
    most: Credits,
    /// How many of them are used, or set aside for calls under way.
    used: Credits,
    /// How many are left.
    left: Credits,
    /// Seconds until it begins anew; null for the ceiling on a call.
    resets_in_s: Option<u64>,
}

async fn usage(shared: Arc<Shared>, _: UsageArgs, cx: CallContext) -> Result<Report<Usage>, ToolError> {
    shared.need_key()?;
    let deadline = shared.upstream.deadline(shared.times.call, &cx);
    let question = Question { endpoint: &shared.offers.usage, body: Bytes::new(), deadline, grant: None };
    let answer = tokio::select! {
        biased;
        () = cx.cancelled.cancelled() => return Err(ToolError::Cancelled),
        answer = shared.upstream.ask(question, &cx) => answer.map_err(|failure| shared.fail(failure.with_cost(Cost::FREE)))?,
    };
    if !answer.get("key").is_object() && !answer.get("account").is_object() {
        return Err(shared.fail(answer.unusable().with_cost(Cost::FREE)));
    }
    let standing = shared.budget.standing(&cx.caller.subject).await;
    let standing = standing.map_err(|refusal| shared.refused(refusal, Credits::default()))?;
    let usage = Usage {
        key: key(answer.get("key")),
        account: shared.account_usage.then(|| account(answer.get("account"))).flatten(),
        budget: allowances(&shared.budget, standing),
        cost: Cost::FREE,
        request_id: answer.request_id(),
    };
    Ok(Report { text: render(&usage), value: usage })
}

fn key(given: &Value) -> Option<KeyUsage> {
    let number = |name: &str| answer::number(&given[name]);
    let (usage, limit) = (number("usage"), number("limit"));
    given.is_object().then(|| KeyUsage {
        usage,
        limit,
        left: limit.zip(usage).map(|(limit, usage)| (limit - usage).max(0.0)),
        search_usage: number("search_usage"),
        extract_usage: number("extract_usage"),
        map_usage: number("map_usage"),
        crawl_usage: number("crawl_usage"),
        research_usage: number("research_usage"),
    })
}

fn account(given: &Value) -> Option<AccountUsage> {
    let number = |name: &str| answer::number(&given[name]);
    given.is_object().then(|| AccountUsage {
        current_plan: given["current_plan"].as_str().map(|plan| text::line(plan, 60)),
        plan_usage: number("plan_usage"),
        plan_limit: number("plan_limit"),
        paygo_usage: number("paygo_usage"),
        paygo_limit: number("paygo_limit"),
    })
}

fn allowances(budget: &Budget, standing: Option<Standing>) -> Vec<Allowance> {
    let allowance = |ceiling, most: Credits, used: Credits, resets_in_s| Allowance {
        ceiling,
        most,
        used,
        left: most.minus(used),
        resets_in_s,
    };
    let mut allowances = vec![allowance(Ceiling::Call, budget.per_call(), Credits::default(), None)];
    let [subject, day] = budget.per_day();
    if let Some(Standing { subject: own, all }) = standing {
        let resets = Some(until_midnight());
        allowances.extend(subject.map(|most| allowance(Ceiling::Subject, most, own, resets)));
        allowances.extend(day.map(|most| allowance(Ceiling::Day, most, all, resets)));
    }
    allowances
}

fn render(usage: &Usage) -> String {
    let shown = |number: Option<f64>| number.map_or_else(|| "unknown".to_owned(), |number| number.to_string());
    let mut lines = Vec::new();
    if let Some(key) = &usage.key {
        let limit = match key.left {
            Some(left) => format!("of {}, so {left} are left", shown(key.limit)),
            None => "with no limit on the key".to_owned(),
        };
        lines.push(format!("This server's Tavily key has used {} credits {limit}.", shown(key.usage)));
        let by_kind = [
            ("search", key.search_usage),
            ("extract", key.extract_usage),
            ("map", key.map_usage),
            ("crawl", key.crawl_usage),
            ("research", key.research_usage),
        ];
        let by_kind: Vec<String> =
            by_kind.iter().filter_map(|(kind, used)| used.map(|used| format!("{kind} {used}"))).collect();
        if !by_kind.is_empty() {
            lines.push(format!("By kind: {}.", by_kind.join(", ")));
        }
    }
    if let Some(account) = &usage.account {
        let plan: String = account
            .current_plan
            .iter()
            .flat_map(|plan| plan.chars())
            .filter(|c| c.is_alphanumeric() || *c == ' ')
            .collect();
        lines.push(format!(
            "The account's plan ({plan}) has used {} of {} credits, and {} of {} beyond the plan.",
            shown(account.plan_usage),
            shown(account.plan_limit),
            shown(account.paygo_usage),
            shown(account.paygo_limit)
        ));
    }
    for Allowance { ceiling, most, left, .. } in &usage.budget {
        lines.push(match ceiling {
            Ceiling::Call => format!("One call may cost {most:#} at most."),
            Ceiling::Subject => format!("Of your {most:#} for today {left} are left; the day ends at midnight UTC."),
            Ceiling::Day => {
                format!("Of all callers' {most:#} for today {left} are left; the day ends at midnight UTC.")
            }
        });
    }
    lines.join("\n")
}

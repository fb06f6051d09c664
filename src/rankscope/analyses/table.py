"""The table of analyses, a row each."""

from rankscope.analyses.analysis import Analysis
from rankscope.analyses.attribution import plan as attribution_plan
from rankscope.analyses.attribution import rules as attribution_rules
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.analyses.changes import plan as changes_plan
from rankscope.analyses.changes import rules as changes_rules
from rankscope.analyses.changes.spec import ChangesSpec
from rankscope.analyses.forgetting import plan as forgetting_plan
from rankscope.analyses.forgetting import rules as forgetting_rules
from rankscope.analyses.forgetting.spec import ForgettingSpec
from rankscope.analyses.probes import plan as probes_plan
from rankscope.analyses.probes import rules as probes_rules
from rankscope.analyses.probes.spec import ProbesSpec

ANALYSES = (
    Analysis(
        "probes",
        ProbesSpec,
        "Probes of every layer, each set under a name of its own.",
        probes_rules.references,
        probes_rules.depths,
        probes_rules.check,
        probes_plan.plan,
        "rankscope.analyses.probes.section:section",
        swept=("rankers", "baseline"),
    ),
    Analysis(
        "attribution",
        AttributionSpec,
        "Attribution of feed-forward neurons, each set under a name of its own.",
        attribution_rules.references,
        attribution_rules.depths,
        attribution_rules.check,
        attribution_plan.plan,
        "rankscope.analyses.attribution.section:section",
        swept=("rankers", "baseline"),
    ),
    Analysis(
        "changes",
        ChangesSpec,
        "Changes between two rankers, each set under a name of its own.",
        changes_rules.references,
        changes_rules.depths,
        changes_rules.check,
        changes_plan.plan,
        "rankscope.analyses.changes.section:section",
        swept=("pairs", "heads.rankers"),
    ),
    Analysis(
        "forgetting",
        ForgettingSpec,
        "Rankers x collections: the gains and losses of each stage, with verdicts.",
        forgetting_rules.references,
        forgetting_rules.depths,
        forgetting_rules.check,
        forgetting_plan.plan,
        "rankscope.analyses.forgetting.section:section",
        systems=("baseline",),
        has_names=False,
    ),
)

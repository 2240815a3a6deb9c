"""The names that nnU-Net gives to plans and models."""

from enrich.config import Config

PLANS = {
    "ExperimentPlanner": "nnUNetPlans",
    "nnUNetPlannerResEncM": "nnUNetResEncUNetMPlans",
    "nnUNetPlannerResEncL": "nnUNetResEncUNetLPlans",
    "nnUNetPlannerResEncXL": "nnUNetResEncUNetXLPlans",
}
"""The name of the plans of each planner."""


def model_folder(nnunet: Config) -> str:
    """Return the folder of a model, `<trainer>__<plans>__<configuration>`, as the config's key `nnunet` has it."""
    return f"{nnunet['trainer']}__{PLANS[nnunet['planner']]}__{nnunet['configuration']}"

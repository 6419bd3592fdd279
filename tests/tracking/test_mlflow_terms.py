"""Names and rows for MLflow: every name is valid, and no row is lost."""

from hypothesis import given
from hypothesis import strategies as st

from dstbench.tracking import mlflow_terms

LINE = {
    "epoch": 2,
    "time": 12.3456,
    "train_loss": 0.7,
    "val_loss": 0.5,
    "val_accuracy": float("inf"),
    "grad_norm": None,
    "grad_norm_reason": "text",
    "live_path_share": 1,
    "layers_live": {"conv1.weight": 7, "a/b c": 1.5},
}


def test_epoch_rows_are_few_and_in_groups_with_epoch_last():
    assert mlflow_terms.epoch_rows(LINE) == [
        mlflow_terms.Row("train/loss", 0.7, 12345, 2),
        mlflow_terms.Row("val/loss", 0.5, 12345, 2),
        mlflow_terms.Row("health/live_path_share", 1.0, 12345, 2),
        mlflow_terms.Row("epoch", 2.0, 12345, 2),
    ]


def test_figures_of_layers_are_sent_on_request(monkeypatch):
    monkeypatch.setenv(mlflow_terms.LAYERS, "1")
    rows = mlflow_terms.epoch_rows(LINE)
    assert [row for row in rows if row.name.startswith("layers/")] == [
        mlflow_terms.Row("layers/layers_live/conv1.weight", 7.0, 12345, 2),
        mlflow_terms.Row("layers/layers_live/a/b c", 1.5, 12345, 2),
    ]


def test_params_are_the_lines_of_the_configuration():
    text = "import a.b\nRun.seed = 0\ncycle/Cosine.start = 0.5\nRun.name = 'x = y'\n"
    expected = {"Run.seed": "0", "cycle/Cosine.start": "0.5", "Run.name": "'x = y'"}
    assert mlflow_terms.params(text) == expected


@given(st.text(max_size=300))
def test_allowed_names_are_valid_in_mlflow(name):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    allowed = mlflow_terms.allowed(name)
    _validate_metric_name(allowed)
    _validate_param_name(allowed)
    assert 1 <= len(allowed) <= 250
    assert mlflow_terms.allowed(allowed) == allowed


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 10))
def test_batches_keep_order_and_split_only_epochs_over_the_limit(sizes, limit):
    epochs = [
        [mlflow_terms.Row("a", i, 0, epoch) for i in range(n)] for epoch, n in enumerate(sizes)
    ]
    batches = list(mlflow_terms.batches(epochs, limit))
    assert [row for batch in batches for row in batch] == [row for rs in epochs for row in rs]
    assert all(1 <= len(batch) <= limit for batch in batches)
    for epoch, size in enumerate(sizes):
        holders = sum(any(row.step == epoch for row in batch) for batch in batches)
        assert holders <= 1 or size > limit

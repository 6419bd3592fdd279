"""Names and rows for MLflow: every name is valid, and no row is lost."""

from hypothesis import given
from hypothesis import strategies as st

from dstbench.tracking import mlflow_terms


def test_epoch_rows_are_numbers_by_name_with_epoch_last():
    line = {
        "epoch": 2,
        "time": 12.3456,
        "val_loss": 0.5,
        "ok": True,
        "why": "text",
        "none": None,
        "infinite": float("inf"),
        "layers_live": {"conv1.weight": 7, "a/b c": 1.5},
    }
    assert mlflow_terms.epoch_rows(line) == [
        mlflow_terms.Row("val_loss", 0.5, 12345, 2),
        mlflow_terms.Row("ok", 1.0, 12345, 2),
        mlflow_terms.Row("layers_live/conv1.weight", 7.0, 12345, 2),
        mlflow_terms.Row("layers_live/a/b c", 1.5, 12345, 2),
        mlflow_terms.Row("epoch", 2.0, 12345, 2),
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

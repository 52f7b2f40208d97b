import subprocess
import sys


def test_importing_the_stores_imports_neither_google_nor_dagster() -> None:
    code = (
        "import sys; import videomoments_dagster.core.objects.addresses; "
        "import videomoments_dagster.sources.fetching; "
        "print([m for m in sys.modules if m.split('.')[0] in ('google', 'dagster', 'dagster_gcp')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"

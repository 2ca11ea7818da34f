"""What the tests of whole searches share."""

import cloudpickle
import pytest
import study_tools

from sparkopt import SparkTrials

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(study_tools)


@pytest.fixture
def new_trials(spark):
    """Make empty trials on the shared session."""

    def new(parallelism=2, **arguments):
        return SparkTrials(parallelism, spark_session=spark, **arguments)

    return new

"""MiniStack, extended: it passes on the alias through which a function is invoked.

MiniStack's Lambda API does so already, for synchronous and asynchronous invocations. Its Step Functions, EventBridge and EventBridge Scheduler check that
the alias exists, but send the function its ARN without the alias. On AWS, `Lambda-Runtime-Invoked-Function-Arn` always holds the qualifier.
"""

from ministack import app
from ministack.services import lambda_svc

find = lambda_svc._get_func_record_for_ref


def find_with_alias(reference):
    """The function's record and configuration. The configuration holds the ARN that the function receives."""
    record, config, name = find(reference)
    _, qualifier = lambda_svc._resolve_name_and_qualifier(reference)
    if config and qualifier:
        config = config | {"FunctionArn": f"{config['FunctionArn']}:{qualifier}"}
    return record, config, name


lambda_svc._get_func_record_for_ref = find_with_alias

if __name__ == "__main__":
    app.main()

"""AWS: EC2 instances with GPUs, made by Pulumi's program through pulumi-aws and ended through boto3.

Never run against Amazon: tested with Pulumi's mocks, botocore's service model and moto's simulated EC2.
"""

//! The examples at the end of each command's `--help`. A test parses every line that begins with `honk`.

pub(super) const HONK: &str = "\
Examples:
  honk demo
  honk dev --state ./state
  honk register workflows/migrate-dataset.yml
  honk migrate my-dataset --wait

Exit codes:
  0  done
  1  the thing failed: a run, a document, a check
  2  wrong usage
  3  the API cannot be reached";

pub(super) const DEV: &str = "\
Examples:
  honk dev
  honk dev --state ./state --listen 127.0.0.1:0 -o json
  honk dev --nats nats://127.0.0.1:4222";

pub(super) const DEMO: &str = "\
Examples:
  honk demo
  honk demo --keep --state ./demo
  honk demo --datasets 4000";

pub(super) const REGISTER: &str = "\
Examples:
  honk register workflows/migrate-dataset.yml
  honk register workflows/nightly.yml workflows/weekly.yml -o json
  honk register workflows/migrate-dataset.yml --strict";

pub(super) const WORKFLOW: &str = "\
Examples:
  honk workflow list
  honk workflow diff nightly
  honk workflow rollback nightly
  honk workflow logs my-dataset";

pub(super) const WORKFLOW_LIST: &str = "\
Examples:
  honk workflow list
  honk workflow list -o json | jq -r '.[].name'";

pub(super) const WORKFLOW_SHOW: &str = "\
Examples:
  honk workflow show nightly
  honk workflow show nightly --version 0123456789ab
  honk workflow show nightly -o json | jq -r .source";

pub(super) const WORKFLOW_HISTORY: &str = "\
Examples:
  honk workflow history nightly
  honk workflow history nightly -o json | jq -r '.versions[].hash'";

pub(super) const WORKFLOW_DIFF: &str = "\
Examples:
  honk workflow diff nightly
  honk workflow diff nightly 0123456789ab
  honk workflow diff nightly 0123456789ab fedcba987654";

pub(super) const WORKFLOW_ROLLBACK: &str = "\
Examples:
  honk workflow rollback nightly
  honk workflow rollback nightly --to 0123456789ab";

pub(super) const WORKFLOW_PAUSE: &str = "\
Examples:
  honk workflow pause nightly";

pub(super) const WORKFLOW_RESUME: &str = "\
Examples:
  honk workflow resume nightly";

pub(super) const WORKFLOW_DELETE: &str = "\
Examples:
  honk workflow delete nightly
  honk workflow delete nightly weekly --force";

pub(super) const WORKFLOW_LOGS: &str = "\
Examples:
  honk workflow logs my-dataset
  honk workflow logs my-dataset --job validate --follow
  honk workflow logs my-dataset --since 10m -o json | jq -r .text";

pub(super) const LINT: &str = "\
Examples:
  honk lint workflows/migrate-dataset.yml
  honk lint workflows/nightly.yml workflows/weekly.yml --strict -o json
  honk lint --schema > workflow.schema.json";

pub(super) const CATALOG_IMPORT: &str = "\
Examples:
  honk catalog import catalog-info.yaml
  honk catalog import datasets.json more-datasets.yaml
  cat *.yaml | honk catalog import -";

pub(super) const DATASET: &str = "\
Examples:
  honk dataset list
  honk dataset show my-dataset
  honk dataset location my-dataset --source s3://old/my-dataset --target s3://new/my-dataset";

pub(super) const DATASET_LIST: &str = "\
Examples:
  honk dataset list
  honk dataset list --limit 10000 -o json | jq -r '.[].name'";

pub(super) const DATASET_SHOW: &str = "\
Examples:
  honk dataset show my-dataset
  honk dataset show my-dataset -o json | jq .entity";

pub(super) const DATASET_LOCATION: &str = "\
Examples:
  honk dataset location my-dataset
  honk dataset location my-dataset --watch -o json
  honk dataset location my-dataset --source s3://old/my-dataset --target s3://new/my-dataset
  honk dataset location d --source s3://old/d --target s3://new/d --target-endpoint https://s3.example.org";

pub(super) const DATASET_ROLLBACK: &str = "\
Examples:
  honk dataset rollback my-dataset
  honk dataset rollback my-dataset --no-wait
  honk dataset rollback my-dataset --force -o json | jq .report";

pub(super) const DATASET_RETIRE: &str = "\
Examples:
  honk dataset retire my-dataset
  honk dataset retire my-dataset --dry-run
  honk dataset retire my-dataset --dry-run -o json | jq -r .key
  honk dataset retire my-dataset --remove";

pub(super) const CONSUMER: &str = "\
Examples:
  honk consumer list my-dataset
  honk consumer ack my-dataset --as report
  honk consumer forget my-dataset --as old-report";

pub(super) const CONSUMER_LIST: &str = "\
Examples:
  honk consumer list my-dataset
  honk consumer list my-dataset -o json | jq -r '.[].consumer'";

pub(super) const CONSUMER_ACK: &str = "\
Examples:
  honk consumer ack my-dataset --as report
  honk consumer ack my-dataset --as component:default/report --epoch 2";

pub(super) const CONSUMER_FORGET: &str = "\
Examples:
  honk consumer forget my-dataset --as old-report";

pub(super) const MIGRATE: &str = "\
Examples:
  honk migrate my-dataset
  honk migrate my-dataset another-dataset --wait
  honk migrate --selector owner=data-team,lifecycle=production --dry-run
  honk migrate --selector name=sales.*,tag!=frozen --workflow nightly --wait
  honk migrate my-dataset --workflow nightly -o json | jq -r '.[].run'";

pub(super) const RUN: &str = "\
Examples:
  honk run list --state failure
  honk run show r0123456789abcdef0123
  honk run watch r0123456789abcdef0123
  honk run logs r0123456789abcdef0123 --follow";

pub(super) const RUN_LIST: &str = "\
Examples:
  honk run list
  honk run list --dataset my-dataset --limit 5
  honk run list --state failure -o json | jq -r '.[].id'";

pub(super) const RUN_SHOW: &str = "\
Examples:
  honk run show r0123456789abcdef0123
  honk run show r0123456789abcdef0123 -o json | jq .jobs";

pub(super) const RUN_WATCH: &str = "\
Examples:
  honk run watch r0123456789abcdef0123
  honk run watch r0123456789abcdef0123 -o json";

pub(super) const RUN_CANCEL: &str = "\
Examples:
  honk run cancel r0123456789abcdef0123";

pub(super) const RUN_PAUSE: &str = "\
Examples:
  honk run pause r0123456789abcdef0123";

pub(super) const RUN_RESUME: &str = "\
Examples:
  honk run resume r0123456789abcdef0123";

pub(super) const RUN_RETRY: &str = "\
Examples:
  honk run retry r0123456789abcdef0123
  honk run retry r0123456789abcdef0123 --failed-only";

pub(super) const PLAN: &str = "\
Examples:
  honk plan sales
  honk plan sales -o json";

pub(super) const RUN_EVIDENCE: &str = "\
Examples:
  honk run evidence r0123456789abcdef0123
  honk run evidence r0123456789abcdef0123 -o json";

pub(super) const RUN_LOGS: &str = "\
Examples:
  honk run logs r0123456789abcdef0123
  honk run logs r0123456789abcdef0123 --job migrate --attempt 2
  honk run logs r0123456789abcdef0123 --follow -o json";

pub(super) const DLQ: &str = "\
Examples:
  honk dlq list
  honk dlq show r0123456789abcdef0123.migrate
  honk dlq replay --all --reason storage-unavailable";

pub(super) const DLQ_LIST: &str = "\
Examples:
  honk dlq list
  honk dlq list --reason owner-missing
  honk dlq list --pool migrate --dataset my-dataset -o json";

pub(super) const DLQ_SHOW: &str = "\
Examples:
  honk dlq show r0123456789abcdef0123.migrate
  honk dlq show event.0123456789abcdef -o json";

pub(super) const DLQ_REPLAY: &str = "\
Examples:
  honk dlq replay r0123456789abcdef0123.migrate
  honk dlq replay --all --reason storage-unavailable
  honk dlq replay --all --dataset my-dataset --yes";

pub(super) const DLQ_DISCARD: &str = "\
Examples:
  honk dlq discard event.0123456789abcdef
  honk dlq discard --all --reason event-malformed --yes";

pub(super) const DOCTOR: &str = "\
Examples:
  honk doctor
  honk doctor --nats nats://127.0.0.1:4222
  honk doctor --api-url https://honk.example.org -o json
  honk doctor --store s3://my-bucket/some/folder --endpoint http://127.0.0.1:9000

Settings:
  HONK_STORAGE__ACCESS_KEY, HONK_STORAGE__SECRET_KEY, HONK_STORAGE__SESSION_TOKEN";

pub(super) const PROVISION: &str = "\
Examples:
  honk provision
  honk provision --nats nats://nats-1:4222 --replicas 3 --pool gpu
  honk provision --print | jq .streams

Settings:
  HONK_NATS__URL, HONK_NATS__USER, HONK_NATS__PASSWORD, HONK_NATS__CREDENTIALS, HONK_NATS__CA,
  HONK_NATS__CERTIFICATE, HONK_NATS__KEY, HONK_NATS__INBOX_PREFIX";

pub(super) const BENCH: &str = "\
Examples:
  honk bench chains --runs 20000
  honk bench chains --runs 20000 --agents 2 --in-flight 512 -o json
  honk bench chains --nats nats://127.0.0.1:4222";

pub(super) const BENCH_STEPS: &str = "\
Examples:
  honk bench steps --steps 2000
  honk bench steps --steps 10000 -o json";

pub(super) const BENCH_COPY: &str = "\
Examples:
  honk bench copy
  honk bench copy --objects 1000 --large 0 --rounds 1 -o json
  honk bench copy --endpoint http://127.0.0.1:9000 --endpoint http://127.0.0.1:9001 --access-key AK --secret-key SK";

pub(super) const BENCH_FLEET: &str = "\
Examples:
  honk bench fleet
  honk bench fleet --objects 20000 --agents 1,8 --latency-ms 50 -o json
  honk bench fleet --endpoint http://127.0.0.1:9000 --access-key AK --secret-key SK --nats nats://127.0.0.1:4222";

pub(super) const COMPLETIONS: &str = "\
Examples:
  honk completions bash > ~/.local/share/bash-completion/completions/honk
  honk completions zsh > ~/.zfunc/_honk
  honk completions fish > ~/.config/fish/completions/honk.fish";

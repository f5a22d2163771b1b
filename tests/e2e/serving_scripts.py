"""What tests of services run on their hosts."""

CALLS = """
import collections, concurrent.futures, json, os, sys, urllib.error, urllib.request

token = [line.split("=", 1)[1].strip() for line in open("/etc/gpurig/services/api.env") if line.startswith("API_TOKEN=")][0]


def ask(body, path="/predict", login=token, length=None):
    headers = {"Authorization": f"Bearer {login}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:8000{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError as error:  # closed on us while we still sent
        return 413, str(error)


good = json.dumps({"shape": [1, 16, 16], "values": [0.5] * 256}).encode()
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    statuses = collections.Counter(status for status, _ in pool.map(lambda _: ask(good), range(320)))
metrics = ask(None, "/metrics")[1].splitlines()
figure = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in metrics if not line.startswith("#")}
print(json.dumps({
    "statuses": {str(key): count for key, count in statuses.items()},
    "batches": figure["gpurig_api_batch_size_count"],
    "requests": figure["gpurig_api_batch_size_sum"],
    "answer": json.loads(ask(good)[1]),
    "too_large": ask(b" " * 200_000)[0],
    "no_login": ask(good, login="wrong")[0],
    "nonsense": ask(b'{"shape": [1, 16, 16], "values": []}')[0],
    "not_a_number": ask(b'{"shape": [NaN], "values": [1]}')[0],
    "extra": ask(b'{"shape": [1], "values": [1], "code": "import os"}')[0],
}))
"""

STALE = """
mkdir -p /home/dev/.jupyter /etc/jupyter /usr/local/etc/jupyter
for folder in /home/dev/.jupyter /etc/jupyter /usr/local/etc/jupyter; do
    printf 'c.NotebookApp.ip = "0.0.0.0"\\nc.NotebookApp.token = ""\\nc.NotebookApp.password = ""\\n' > $folder/jupyter_server_config.py
    printf 'c.IdentityProvider.token = ""\\nc.ServerApp.ip = "0.0.0.0"\\n' > $folder/jupyter_config.py
done
systemctl restart gpurig-jupyter
for _ in $(seq 300); do ss -ltn | grep -q ':8888 ' && break; sleep 0.2; done
ss -Hltn 'sport = 8888' | awk '{print $4}'
ask='import sys, urllib.request; print(urllib.request.urlopen("http://127.0.0.1:8888" + sys.stdin.read().strip()).read().decode())'
echo /api/status | python3 -c "$ask" 2>&1 | tail -1
token=$(sed -n s/JUPYTER_TOKEN=//p /etc/gpurig/services/jupyter.env)
echo "/api/terminals?token=$token" | python3 -c "$ask"
echo "/lsp/status?token=$token" | python3 -c "$ask" | grep -q '"sessions"' && echo True
stat -c %a /home/dev/.cache/gpurig/jupyter
rm -r /home/dev/.jupyter /etc/jupyter /usr/local/etc/jupyter
systemctl restart gpurig-jupyter
"""

ODD = """ "quoted" back\\slash $HOME `id` it's #1 """
"""A variable's value in which nothing may be lost, and nothing run."""

MLFLOW = """
python3 - <<'END'
import base64, json, urllib.error, urllib.request

token = [line.split("=", 1)[1].strip() for line in open("/etc/gpurig/services/mlflow.env") if "PASSWORD=" in line][0]
login = "Basic " + base64.b64encode(f"admin:{token}".encode()).decode()


def ask(path, host="127.0.0.1:5000", login=login, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:5000{path}", body, {"Host": host, "Content-Type": "application/json"})
    if login:
        request.add_header("Authorization", login)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


search = "/api/2.0/mlflow/experiments/search?max_results=9"
ask("/api/2.0/mlflow/experiments/create", body=b'{"name": "kept"}')
print(json.dumps({
    "named": ask(search, "full:15000")[0],
    "an address": ask(search, "100.64.0.1:15000")[0],
    "past the exposure": ask(search, "100.64.0.1:5000")[0],
    "evil": ask(search, "evil.example")[0],
    "strange path": ask("/api/3.0/jobs/1", login="")[0],
    "kept": b'"kept"' in ask(search)[1],
}))
END
"""

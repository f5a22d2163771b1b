# checkout.sh URL COMMIT FOLDER: the repository at exactly that commit. The folder is there whole, or not at all.
set -eu
export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND='ssh -o BatchMode=yes -o ConnectTimeout=20'
new=$3.new
rm -rf "$new"
trap 'rm -rf "$new"' EXIT
git init --quiet "$new"
cd "$new"
# Some hosts serve single commits, others only what a branch or a tag points at: then everything is fetched.
if ! git fetch --quiet --depth=1 "$1" "$2" 2>first; then
    git fetch --quiet "$1" '+refs/*:refs/fetched/*' || { cat first >&2; exit 1; }
fi
rm -f first
git -c advice.detachedHead=false checkout --quiet --detach "$2" || {
    echo "The repository has no commit $2." >&2
    exit 1
}
if [ -e .gitmodules ]; then git submodule --quiet update --init --recursive --depth=1; fi
cd /
mv "$new" "$3"

"""wsl.exe's own words in the languages that the model knows, from localization/strings of microsoft/WSL, 3e27a6a5."""

# ruff: noqa: RUF001  # Chinese has punctuation of its own

from __future__ import annotations

TEXTS = {
    "versions": {
        "en": "WSL version: {}\nKernel version: {}\nWSLg version: {}\nMSRDC version: {}\nDirect3D version: {}\nDXCore version: {}\nWindows version: {}",
        "de": "WSL-Version: {}\nKernelversion: {}\nWSLg-Version: {}\nMSRDC-Version: {}\nDirect3D-Version: {}\nDXCore-Version: {}\nWindows-Version: {}",
        "zh": "WSL 版本: {}\n内核版本: {}\nWSLg 版本: {}\nMSRDC 版本: {}\nDirect3D 版本: {}\nDXCore 版本: {}\nWindows 版本: {}",
    },
    "not_found": {
        "en": "There is no distribution with the supplied name.",
        "de": "Es ist keine Distribution mit dem angegebenen Namen vorhanden.",
        "zh": "不存在具有所提供名称的分发。",
    },
    "exists": {
        "en": "A distribution with the supplied name already exists. Use --name to choose a different name.",
        "de": "A distribution with the supplied name already exists. Use --name to choose a different name.",
        "zh": "已存在具有所提供名称的分发。使用 --name 选择其他名称。",
    },
    "place_taken": {
        "en": "The supplied install location is already in use.",
        "de": "The supplied install location is already in use.",
        "zh": "提供的安装位置已在使用中。",
    },
    "error_code": {"en": "{}\nError code: {}", "de": "{}\nFehlercode: {}", "zh": "{}\n错误代码: {}"},
    "system": {
        "en": "Running WSL as local system is not supported.",
        "de": "Das Ausführen von WSL als lokales System wird nicht unterstützt.",
        "zh": "不支持将 WSL 作为本地系统运行。",
    },
    "argument": {
        "en": "Invalid command line argument: {}\nPlease use '{} --help' to get a list of supported arguments.",
        "de": 'Ungültiges Befehlszeilenargument: {}\nVerwenden Sie "{}" --help\', um eine Liste der unterstützten Argumente abzurufen.',
        "zh": "无效的命令行参数： {}\n请使用“{} --help' 获取受支持的参数列表。",
    },
    "none_running": {
        "en": "There are no running distributions.",
        "de": "Es werden keine Distributionen ausgeführt.",
        "zh": "没有正在运行的分发。",
    },
    "none_installed": {
        "en": "Windows Subsystem for Linux has no installed distributions.\nYou can resolve this by installing a distribution with the instructions below:\n\nUse 'wsl.exe --list --online' to list available distributions\nand 'wsl.exe --install <Distro>' to install.",
        "de": 'Windows-Subsystem für Linux verfügt über keine installierten Distributionen.\nSie können dies beheben, indem Sie eine Distribution mit den folgenden Anweisungen installieren:\n\n"wsl.exe --list --online\' zum Auflisten verfügbarer Distributionen verwenden\nund "wsl.exe --install <Distro>".',
        "zh": "适用于 Linux 的 Windows 子系统没有已安装的分发。\n可按照以下说明安装分发来解决此问题:\n\n使用 'wsl.exe --list --online' 列出可用的分发\n和 'wsl.exe --install <Distro>' 进行安装。",
    },
    "virtualization": {
        "en": 'WSL2 is unable to start since virtualization is not enabled on this machine.\nPlease ensure the "Virtual Machine Platform" optional component is enabled and virtualization is turned on in your computer\'s firmware settings.\n\nEnable "Virtual Machine Platform" by running: wsl.exe --install --no-distribution\n\nFor information please visit https://aka.ms/enablevirtualization',
        "de": "WSL2 kann nicht gestartet werden, da die Virtualisierung auf diesem Computer nicht aktiviert ist.\nStellen Sie sicher, dass die optionale Komponente „VM-Plattform“ aktiviert ist und die Virtualisierung in den Firmwareeinstellungen Ihres Computers eingeschaltet ist.",
        "zh": "WSL2 无法启动，因为此计算机上未启用虚拟化。\n请确保计算机固件设置中“虚拟机平台”可选组件已启用，且虚拟化已开启。",
    },
    "header": {
        "en": "Windows Subsystem for Linux Distributions:",
        "de": "Windows Subsystem für Linux-Distributionen:",
        "zh": "适用于 Linux 的 Windows 子系统分发:",
    },
    "default": {"en": "{} (Default)", "de": "{} (Standard)", "zh": "{} (默认值)"},
    "installing": {"en": "Installing: {}", "de": "Wird installiert: {}", "zh": "正在安装: {}"},
    "installed": {
        "en": "Distribution successfully installed. It can be launched via 'wsl.exe -d {}'",
        "de": 'Die Distribution wurde erfolgreich installiert. Sie kann über "wsl.exe -d {}" gestartet werden.',
        "zh": "已成功安装分发。可以通过“wsl.exe -d {}”启动它",
    },
    "done": {
        "en": "The operation completed successfully.",
        "de": "Der Vorgang wurde erfolgreich beendet.",
        "zh": "操作成功完成。",
    },
    "exporting": {
        "en": "Export in progress, this may take a few minutes.",
        "de": "Der Export wird ausgeführt. Dies kann einige Minuten dauern.",
        "zh": "正在导出，这可能需要几分钟时间。",
    },
    "failed": {
        "en": "The operation could not be completed.",
        "de": "Der Vorgang konnte nicht abgeschlossen werden.",
        "zh": "操作无法完成。",
    },
    "stub": {
        "en": "The file cannot be accessed by the system.",
        "de": "Auf die Datei kann vom System nicht zugegriffen werden.",
        "zh": "系统无法访问此文件。",
    },
}


def of(language: str, name: str, *values: object) -> str:
    """A text in a language such as de-DE, with its values."""
    return TEXTS[name][language.partition("-")[0]].format(*values)

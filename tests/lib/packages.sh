# What the suites need from outside, and how it is had: Debian packages for programs, a virtual environment under
# target/ for Python libraries. Nothing is started by the installation of a package.

# A program (or file), the package that has it, the suites that need it.
needs() {
  cat <<'X'
cc                                                            build-essential           *
git                                                           git                       layering
python3                                                       python3                   *
/usr/lib/python3/dist-packages/venv-is-part-of-python3-venv   python3-venv              xmpp readme
dbus-daemon                                                   dbus-daemon               desktop service network
dbus-run-session                                              dbus-daemon               service readme
busctl                                                        systemd                   desktop service
gdbus                                                         libglib2.0-bin            desktop
Xvfb                                                          xvfb                      desktop
xdotool                                                       xdotool                   desktop
/usr/lib/python3/dist-packages/gi/__init__.py                 python3-gi                desktop readme
/usr/lib/x86_64-linux-gnu/girepository-1.0/Gtk-3.0.typelib    gir1.2-gtk-3.0            desktop
/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf               fonts-dejavu-core         desktop
import                                                        imagemagick               desktop
dunst                                                         dunst                     desktop
/usr/lib/x86_64-linux-gnu/xfce4/notifyd/xfce4-notifyd         xfce4-notifyd             desktop
/usr/lib/notification-daemon/notification-daemon              notification-daemon       desktop
/usr/lib/mate-notification-daemon/mate-notification-daemon    mate-notification-daemon  desktop
lxqt-notificationd                                            lxqt-notificationd        desktop
desktop-file-validate                                         desktop-file-utils        desktop
gnome-keyring-daemon                                          gnome-keyring             service
/usr/lib/systemd/user/dbus.service                            dbus-user-session         service
systemd-analyze                                               systemd                   service
setpriv                                                       util-linux                service xmpp network
/usr/bin/prosody                                              prosody                   xmpp network readme
/usr/sbin/ejabberdctl                                         ejabberd                  xmpp
/usr/share/doc/erlang-p1-sqlite3                              erlang-p1-sqlite3         xmpp
ip                                                            iproute2                  network readme
nft                                                           nftables                  network
tinyproxy                                                     tinyproxy-bin             network
microsocks                                                    microsocks                network
/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1         libfaketime               network
X
}

# have THING: a program on PATH or a file.
have() {
  case $1 in
  */venv-is-part-of-python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
  /*) [ -e "$1" ] ;;
  *) command -v "$1" >/dev/null ;;
  esac
}

# missing SUITE...: packages that these suites need and that are not here.
missing() {
  needs | while read -r thing package users; do
    for suite in "$@"; do
      case " $users " in *" $suite "* | *" * "*) have "$thing" || echo "$package"; break ;; esac
    done
  done | sort -u
}

# prepare SUITE...: installs as root, tells anybody else.
prepare() {
  local packages
  mapfile -t packages < <(missing "$@")
  if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      install_packages "${packages[@]}" || echo "tests/run: could not install: ${packages[*]}" >&2
    else
      echo "tests/run: not installed, what needs it is skipped: apt-get install ${packages[*]}" >&2
    fi
  fi
  case " $* " in *" xmpp "* | *" readme "*) python_libraries || echo "tests/run: no virtual environment with slixmpp" >&2 ;; esac
}

install_packages() {
  local policy=/usr/sbin/policy-rc.d made='' status apt=(apt-get -o DPkg::Lock::Timeout=300 -qq)
  echo "tests/run: installing $*"
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=1; fi
  (
    export DEBIAN_FRONTEND=noninteractive
    "${apt[@]}" install -y --no-install-recommends "$@" ||
      { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; }
  ) >target/apt.log 2>&1
  status=$?
  [ -n "$made" ] && rm -f $policy
  [ $status = 0 ] || tail -n 20 target/apt.log >&2
  return $status
}

python_libraries() {
  local venv=target/venv
  "$venv/bin/python3" -c 'import slixmpp, websockets' 2>/dev/null && return 0
  echo "tests/run: making $venv"
  { python3 -m venv "$venv" && "$venv/bin/python3" -m pip install --quiet slixmpp websockets; } >target/venv.log 2>&1 ||
    { tail -n 5 target/venv.log >&2; return 1; }
}

# -*- mode: ruby -*-
# The Vagrantfile inside the box: Vagrant reads it before the project's own. The machine is emulated, so all that waits
# has more time; the kernel of the box's Debian is started directly, so the box needs no boot loader.
here = File.dirname(File.expand_path(__FILE__))

Vagrant.configure("2") do |config|
  config.vm.boot_timeout = 1200 # seconds
  config.ssh.connect_timeout = 120 # seconds
  config.vm.provider :libvirt do |machine|
    machine.driver = "qemu"
    machine.emulator_path = "#{here}/qemu.sh"
    machine.cpu_mode = "custom"
    machine.cpu_model = "Nehalem"
    machine.kernel = "#{here}/vmlinuz"
    machine.initrd = "#{here}/initrd.img"
    machine.cmd_line = "root=/dev/vda rw console=ttyS1 mitigations=off"
    machine.graphics_type = "none"
    # The plugin cannot merge the serial ports of two Vagrantfiles, so this one is an argument of qemu.
    log = ENV.fetch("CONSOLE", "/dev/null")
    %W[-chardev file,id=log,append=on,path=#{log} -device isa-serial,chardev=log,index=1].each do |word|
      machine.qemuargs value: word
    end
  end
end
